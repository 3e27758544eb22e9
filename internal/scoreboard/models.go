package scoreboard

import (
	"math/rand/v2"
	"time"

	"github.com/kratos-breaker/breaker"
)

// tally counts calls of one bucket of a window.
type tally struct {
	success, failure, rejected float64
}

func (t tally) total() float64 { return t.success + t.failure + t.rejected }

// buckets are a rolling window, of which the newest bucket is partly filled.
type buckets struct {
	each  time.Duration
	start time.Time
	slot  int64 // of the newest bucket
	ring  []tally
}

func newBuckets(n int, each time.Duration, start time.Time) buckets {
	return buckets{each: each, start: start, ring: make([]tally, n)}
}

// newest returns the bucket of now.
func (b *buckets) newest() *tally {
	slot := int64(time.Since(b.start) / b.each)
	for n := min(slot-b.slot, int64(len(b.ring))); n > 0; n-- {
		b.ring[(slot-n+1)%int64(len(b.ring))] = tally{}
	}
	b.slot = slot
	return &b.ring[slot%int64(len(b.ring))]
}

// each calls f with all buckets, from the oldest to the newest.
func (b *buckets) all(f func(tally)) {
	b.newest()
	for i := 1; i <= len(b.ring); i++ {
		f(b.ring[(b.slot+int64(i))%int64(len(b.ring))])
	}
}

func (b *buckets) sum() (s tally) {
	b.all(func(t tally) {
		s.success += t.success
		s.failure += t.failure
		s.rejected += t.rejected
	})
	return s
}

// Settle counts the end of a call: the models settle permits with it.
func (b *buckets) Settle(_ breaker.Ticket, o breaker.Outcome) {
	if o == breaker.Success {
		b.newest().success++
	} else {
		b.newest().failure++
	}
}

func (b *buckets) permit(allowed bool) (breaker.Permit, error) {
	if !allowed {
		return breaker.Permit{}, errRejected
	}
	return breaker.NewPermit(b, breaker.Ticket{}), nil
}

var errRejected = breaker.NewRejectedError("", breaker.Open, breaker.ReasonUnknown, time.Time{}, nil)

// kratosV3 is internal/circuitbreaker/sre.go of github.com/go-kratos/kratos/v3
// v3.0.0 with the defaults, and its middleware, which marks a rejection as a
// failure. Its slots are those of the wall clock.
type kratosV3 struct {
	window buckets
	chance *rand.Rand
}

func newKratosV3(r *rand.Rand) *kratosV3 {
	return &kratosV3{newBuckets(10, 300*time.Millisecond, time.Unix(0, 0)), r}
}

func (m *kratosV3) Acquire() (breaker.Permit, error) {
	const k, gate = 2, 20
	s := m.window.sum()
	total := s.total()
	if total < gate || total < k*s.success {
		return m.window.permit(true)
	}
	if m.chance.Float64() < max(0, (total-k*s.success)/(total+1)) {
		m.window.newest().rejected++
		return m.window.permit(false)
	}
	return m.window.permit(true)
}

// goZero is core/breaker/googlebreaker.go of github.com/zeromicro/go-zero
// v1.10.3. Its constants cannot be changed there either.
type goZero struct {
	window buckets
	chance *rand.Rand
	passed time.Time // when it last let a call through while there was something to reject
}

func newGoZero(r *rand.Rand) *goZero {
	return &goZero{window: newBuckets(40, 250*time.Millisecond, time.Now()), chance: r}
}

func (m *goZero) Acquire() (breaker.Permit, error) {
	const k, minK, protection, n = 1.5, 1.1, 5, 40
	var accepts, total, failing, working float64
	m.window.all(func(t tally) {
		accepts += t.success
		total += t.total()
		if t.failure > 0 {
			working = 0
		} else if t.success > 0 {
			working++
		}
		if t.success > 0 {
			failing = 0
		} else if t.failure > 0 {
			failing++
		}
	})
	w := max(minK, k-(k-minK)*failing/n)
	p := (total - protection - w*accepts) / (total + 1)
	if p <= 0 {
		return m.window.permit(true)
	}
	if m.passed.IsZero() || time.Since(m.passed) <= time.Second {
		if m.chance.Float64() < p*(n-working)/n {
			m.window.newest().rejected++
			return m.window.permit(false)
		}
	}
	m.passed = time.Now()
	return m.window.permit(true)
}

// envoy is source/extensions/filters/http/admission_control of Envoy with the
// defaults of its proto: 30 s in buckets of 1 s, a success ratio of 95 %, an
// aggression of 1, and at most 80 % rejected. It does not count rejections.
type envoy struct {
	window buckets
	chance *rand.Rand
}

func newEnvoy(r *rand.Rand) *envoy {
	return &envoy{newBuckets(30, time.Second, time.Now()), r}
}

func (m *envoy) Acquire() (breaker.Permit, error) {
	const threshold, most = 0.95, 0.8
	s := m.window.sum()
	p := (s.total() - s.success/threshold) / (s.total() + 1)
	return m.window.permit(m.chance.Float64() >= min(p, most))
}
