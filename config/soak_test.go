package config_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
)

var (
	soak    = flag.Duration("soak", time.Second, "how long TestStress_… reloads under load")
	perSec  = flag.Int("soak.reloads", 1000, "reloads per second")
	workers = 64
)

// tally is what the callers know.
type tally struct {
	offered, rejected atomic.Uint64
	ended             [3]atomic.Uint64 // by outcome
}

func TestStress_AThousandReloadsASecondLoseNoCountAndNoInvalidRuleIsEverInForce(t *testing.T) {
	valid := []string{
		`{}`,
		`{default: {sre: {success: 0.9, request: 5}}}`,
		`{default: {algorithm: circuit, circuit: {consecutive_failures: 3, delay: 1ms}}}`,
		`{default: {algorithm: circuit, circuit: {failure_rate: [{ratio: 0.5, min_calls: 5, period: 1s}], delay: 1ms, probes: {successes: 2, of: 3}}}}`,
		`{default: {algorithm: off}}`,
		`{default: {mode: dry-run, sre: {window: 1s}}}`,
		`{default: {sre: {classic: true, request: 5}}}`,
		`{default: {classify: {other: ignored}}, rules: [{match: "/a*", mode: force-open}, {match: "/b*", transport: grpc, algorithm: circuit}]}`,
		`{default: {circuit: {slow_call_rate: {threshold: 1ms, ratio: 0.9, min_calls: 5, period: 1s}}, algorithm: circuit}}`,
	}
	invalid := []string{
		`{default: {sre: {success: 7}}}`, `{default: [`, ``, `{default: {mode: sometimes}}`,
		`{rules: [{match: "/a*", mode: force-open}, {}]}`, `{default: {circuit: {probe_limit: 9}}}`,
	}
	texts := make(map[string]bool)
	for _, text := range valid {
		texts[parsed(t, text).Match("http", "/z").Settings] = true
	}
	var n tally
	r := config.New(parsed(t, `{keys: {limit: 8}}`), config.WithListener(func(breaker.Event) {}))
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range workers {
		callers.Go(func() { n.call(r, stop) })
	}

	began := time.Now()
	reloads := int(soak.Seconds() * float64(*perSec))
	for i := range reloads {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(*perSec))))
		if i%2 == 0 {
			_, err := config.Parse([]byte(invalid[i/2%len(invalid)]), config.YAML)
			require.Error(t, err)
		} else {
			r.Apply(parsed(t, valid[i/2%len(valid)]))
		}
		require.True(t, texts[r.Set().Match("http", "/z").Settings])
	}
	took := time.Since(began)
	close(stop)
	callers.Wait()

	var sum breaker.Totals
	for l := range r.Breakers() {
		s := l.Breaker.Snapshot()
		require.Equal(t, s.Totals.Offered, s.Totals.Allowed+s.Totals.Rejected)
		sum.Offered += s.Totals.Offered
		sum.Rejected += s.Totals.Rejected
		sum.Success += s.Totals.Success
		sum.Failure += s.Totals.Failure
		sum.Ignored += s.Totals.Ignored
		sum.InFlight += s.Totals.InFlight
	}
	require.Equal(t, breaker.Totals{
		Offered: n.offered.Load(), Rejected: n.rejected.Load(), Success: n.ended[breaker.Success].Load(),
		Failure: n.ended[breaker.Failure].Load(), Ignored: n.ended[breaker.Ignored].Load(),
	}, sum)
	t.Logf("%d calls, %d reloads in %v, half of them invalid", sum.Offered, reloads, took)
	require.EqualValues(t, reloads/2, r.Reloads().Applied)
}

// call makes calls until stop is closed. Some end late.
func (n *tally) call(r *config.Rules, stop <-chan struct{}) {
	var late []breaker.Permit
	done := func(p breaker.Permit) {
		o := breaker.Outcome(rand.IntN(3))
		p.Done(o)
		n.ended[o].Add(1)
	}
	for i := 0; ; i++ {
		select {
		case <-stop:
			for _, p := range late {
				done(p)
			}
			return
		default:
		}
		key := fmt.Sprintf("/%c%d", 'a'+rand.IntN(3), rand.IntN(6)) // more than the limit
		p, _, err := r.Admit([]string{"http", "grpc"}[rand.IntN(2)], key)
		n.offered.Add(1)
		switch {
		case err != nil:
			n.rejected.Add(1)
		case len(late) < 10 && rand.IntN(10) == 0:
			late = append(late, p)
		default:
			done(p)
		}
		if len(late) == 10 {
			done(late[0])
			late = late[1:]
		}
		if i%2 == 0 {
			time.Sleep(time.Millisecond) // leaves the one who reloads some time
		}
	}
}

// statuses are errors by which a classifier tells of which set it is: in set n,
// those up to 100+n are failures.
var statuses = func() (all []error) {
	for status := 100; status < 600; status++ {
		all = append(all, kratoserrors.New(status, "", ""))
	}
	return all
}()

func numbered(t testing.TB, n int) *config.Set {
	mode := []string{"force-open", "force-closed"}[n%2]
	algorithm := []string{"circuit", "circuit", "sre", "sre"}[n%4] // a change in place, and one of the algorithm
	return parsed(t, fmt.Sprintf(`{default: {mode: %s, algorithm: %s, circuit: {consecutive_failures: %d}, classify: {failure: {http: [100-%d]}, success: {http: [%d-599]}}}}`,
		mode, algorithm, 1+n%2, 100+n, 101+n))
}

func setOf(c breaker.Classifier) int {
	return sort.Search(len(statuses), func(i int) bool { return c(statuses[i]) == breaker.Success }) - 1
}

func TestStress_EveryCallIsDecidedByOneWholeSet(t *testing.T) {
	const sets, keys = 200, 4
	r := config.New(numbered(t, 0))
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var wrong atomic.Pointer[string]
	for range 8 {
		callers.Go(func() {
			latest := 0
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				p, classify, err := r.Admit("http", fmt.Sprint(i%keys))
				var rejected *breaker.RejectedError
				// In no set the breaker itself decides, so no mixture of two may
				// let it. All calls fail: it would reject.
				if errors.As(err, &rejected) && rejected.Reason() != breaker.ReasonForcedOpen {
					text := "a call was " + err.Error()
					wrong.CompareAndSwap(nil, &text)
				}
				p.Done(breaker.Failure)
				// Once a set was in force for one key, no other key has one of before.
				n := setOf(classify)
				if n < latest {
					text := fmt.Sprintf("set %d came after set %d", n, latest)
					wrong.CompareAndSwap(nil, &text)
				}
				latest = n
				runtime.Gosched()
			}
		})
	}
	for n := 1; n < sets; n++ {
		r.Apply(numbered(t, n))
		for key := range keys { // from now on, all calls are decided by it
			p, classify, err := r.Admit("http", fmt.Sprint(key))
			require.Equal(t, n%2 == 0, err != nil)
			require.Equal(t, n, setOf(classify))
			p.Done(breaker.Failure)
		}
	}
	close(stop)
	callers.Wait()
	if w := wrong.Load(); w != nil {
		t.Fatal(*w)
	}
}
