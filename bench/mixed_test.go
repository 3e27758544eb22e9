package bench_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/sre"
)

// mixed are calls of which a share fails. With 60 % and more, all breakers
// reject most. The three-state ones stay open for 10 ms only, so what it costs to
// open, probe and reopen is in it.
var mixed = table{"Mixed", mixedRows()}

const shortDelay = 10 * time.Millisecond

// call makes a call that fails or succeeds, if it is allowed.
type call func(fails bool) (allowed bool)

func mixedRows() (rows []row) {
	for _, kind := range []struct {
		name   string
		rivals []string
		make   []func() call
	}{
		{"sre", []string{"breaker", "aegis", "go-zero"}, []func() call{sreCall, aegisCall, gozeroCall}},
		{"time", []string{"breaker", "gobreaker", "failsafe-go"}, []func() call{rateCall, gobreakerCall, failsafeCall}},
	} {
		for _, percent := range []uint64{0, 1, 10, 40, 60, 100} {
			r := row{name: fmt.Sprintf("%s-%d", kind.name, percent)}
			for i, name := range kind.rivals {
				r.contenders = append(r.contenders, mix(name, percent, kind.make[i]))
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// mix is a contender whose calls fail with the given probability. It says what
// share of them was rejected.
func mix(name string, percent uint64, start func() call) contender {
	return rejecting(name, func(s *share) loop {
		f := start()
		fill(window, buckets, func() {
			for i := range uint64(200) {
				f(i*percent/100 != (i+1)*percent/100)
			}
		})
		return func(pb *testing.PB) {
			var calls, rejected int64
			n := rand.Uint64()
			for pb.Next() {
				n = n*6364136223846793005 + 1442695040888963407
				calls++
				if !f(n>>33%100 < percent) {
					rejected++
				}
			}
			s.add(calls, rejected)
		}
	})
}

// share counts the calls of one run, and those of them that were rejected.
type share struct{ offered, rejected atomic.Int64 }

func (s *share) add(offered, rejected int64) {
	s.offered.Add(offered)
	s.rejected.Add(rejected)
}

// rejecting is timed, and reports what share of the calls was rejected.
func rejecting(name string, start func(s *share) loop) contender {
	var s share
	c := timed(name, func() loop { return start(&s) })
	bench := c.bench
	c.bench = func(b *testing.B) func(b *testing.B) {
		body := bench(b)
		return func(b *testing.B) {
			s.offered.Store(0)
			s.rejected.Store(0)
			body(b)
			b.ReportMetric(float64(s.rejected.Load())/float64(s.offered.Load()), "rejected/op")
		}
	}
	return c
}

func outcome(fails bool) breaker.Outcome {
	if fails {
		return breaker.Failure
	}
	return breaker.Success
}

func sreCall() call {
	x := sre.NewBreaker(sre.WithWindow(window), sre.WithBucket(buckets))
	return func(fails bool) bool {
		p, err := x.Acquire()
		if err != nil {
			return false
		}
		p.Done(outcome(fails))
		return true
	}
}

func aegisCall() call {
	x := newAegis()
	return func(fails bool) bool {
		allowed := x.Allow() == nil
		if fails || !allowed {
			x.MarkFailed()
		} else {
			x.MarkSuccess()
		}
		return allowed
	}
}

func gozeroCall() call {
	x := gozero.NewBreaker()
	return func(fails bool) bool {
		p, err := x.Allow()
		switch {
		case err != nil:
			return false
		case fails:
			p.Reject("")
		default:
			p.Accept()
		}
		return true
	}
}

func rateCall() call {
	x := newRate(circuit.WithDelay(shortDelay))
	return func(fails bool) bool {
		p, err := x.Acquire()
		if err != nil {
			return false
		}
		p.Done(outcome(fails))
		return true
	}
}

func gobreakerCall() call {
	settings := rateSettings(window, buckets)
	settings.Timeout = shortDelay
	x := gobreaker.NewCircuitBreaker[any](settings)
	justFail := func() (any, error) { return nil, errBackend }
	return func(fails bool) bool {
		f := justNil
		if fails {
			f = justFail
		}
		_, err := x.Execute(f)
		return err == nil || err == errBackend
	}
}

func failsafeCall() call {
	x := circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(rate, minCalls, window).WithDelay(shortDelay).Build()
	return func(fails bool) bool {
		if !x.TryAcquirePermit() {
			return false
		}
		if fails {
			x.RecordFailure()
		} else {
			x.RecordSuccess()
		}
		return true
	}
}
