package sre_test

import (
	"fmt"
	"math"
	mathrand "math/rand"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	aegisinterface "github.com/go-kratos/aegis/circuitbreaker"
	aegis "github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// reference is a real aegis breaker whose window can be read and whose random
// numbers are chosen.
type reference struct {
	aegisinterface.CircuitBreaker
	stat reflect.Value
	next *chosen
}

type chosen struct{ n int64 }

func (c *chosen) Int63() int64 { return c.n }
func (c *chosen) Seed(int64)   {}

func newReference(opts ...aegis.Option) *reference {
	r := &reference{CircuitBreaker: aegis.NewBreaker(opts...), next: &chosen{}}
	r.stat = r.private("stat")
	r.private("r").Set(reflect.ValueOf(mathrand.New(r.next)))
	return r
}

func (r *reference) private(name string) reflect.Value {
	f := reflect.ValueOf(r.CircuitBreaker).Elem().FieldByName(name)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// reconfigure does what aegis cannot: its window goes on.
func (r *reference) reconfigure(success float64, request int64) {
	r.private("k").SetFloat(1 / success)
	r.private("request").SetInt(request)
}

// window returns what aegis' summary adds up, bucket by bucket.
func (r *reference) window() (success, total uint64) {
	reduce := r.stat.MethodByName("Reduce")
	visit := reflect.MakeFunc(reduce.Type().In(0), func(args []reflect.Value) []reflect.Value {
		// The iterator is addressable only as a copy; its methods move it.
		it := reflect.New(args[0].Type())
		it.Elem().Set(args[0])
		for it.MethodByName("Next").Call(nil)[0].Bool() {
			bucket := it.MethodByName("Bucket").Call(nil)[0]
			total += uint64(bucket.FieldByName("Count").Int())
			for points, i := bucket.FieldByName("Points"), 0; i < points.Len(); i++ {
				success += uint64(points.Index(i).Float())
			}
		}
		return []reflect.Value{reflect.ValueOf(0.0)}
	})
	reduce.Call([]reflect.Value{visit})
	return success, total
}

// rejects reports whether aegis rejects a call when it draws the number
// n / 2^53.
func (r *reference) rejects(n int64) bool {
	r.next.n = n << 10 // of the 63 bits that it asks for, 53 survive
	return r.Allow() != nil
}

// requireSame compares the window, the reject ratio to the last of the 53 bits
// that a random number has, and the decision.
func requireSame(t require.TestingT, want *reference, got *sre.Breaker) {
	s := got.Snapshot()
	success, total := want.window()
	require.Equal(t, success, s.Window.Success)
	require.Equal(t, total, s.Window.Total())
	requireSameDecision(t, want, got)
}

func requireSameDecision(t require.TestingT, want *reference, got *sre.Breaker) {
	s := got.Snapshot()

	// The least n with n / 2^53 >= ratio is the first that is allowed.
	n := int64(math.Ceil(s.RejectRatio * (1 << 53)))
	require.False(t, want.rejects(n), "ratio %v is too small", s.RejectRatio)
	if n > 0 {
		require.True(t, want.rejects(n-1), "ratio %v is too large", s.RejectRatio)
	}
	if s.RejectRatio == 0 {
		require.NoError(t, got.Allow())
	} else {
		require.False(t, got.CertainlyAllows(), "ratio %v", s.RejectRatio)
	}
}

// TestClassic_DecidesAsAegis compares with the real aegis v0.2.0 after every
// step of random histories, over all options, which change on the way.
func TestClassic_DecidesAsAegis(t *testing.T) {
	// A bubble for each history: in a single one, rapid would end the test after 24
	// hours of the bubble's clock, and call it passed.
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			success := rapid.SampledFrom([]float64{0.6, 0.5, 0.01, 0.3, 0.9, 0.999, 1}).Draw(t, "success")
			request := rapid.SampledFrom([]int64{1, 2, 10, 100}).Draw(t, "request")
			buckets := rapid.IntRange(1, 20).Draw(t, "buckets")
			window := time.Duration(rapid.Int64Range(int64(buckets)*1000, int64(5*time.Second)).Draw(t, "window"))
			want := newReference(aegis.WithSuccess(success), aegis.WithRequest(request), aegis.WithBucket(buckets), aegis.WithWindow(window))
			got := classic(sre.WithSuccess(success), sre.WithRequest(request), sre.WithBucket(buckets), sre.WithWindow(window))
			span, created := window/time.Duration(buckets), time.Now()

			many := func(t *rapid.T) int {
				return rapid.SampledFrom([]int{1, 1, 1, 2, 7, 40, 150}).Draw(t, "times")
			}
			t.Repeat(map[string]func(*rapid.T){
				"step": func(t *rapid.T) { time.Sleep(time.Duration(rapid.Int64Range(0, int64(span)).Draw(t, "by"))) },
				"jump": func(t *rapid.T) {
					time.Sleep(span * time.Duration(rapid.IntRange(0, 2*buckets).Draw(t, "buckets")))
				},
				"succeed": func(t *rapid.T) {
					for range many(t) {
						want.MarkSuccess()
						got.MarkSuccess()
					}
				},
				"fail": func(t *rapid.T) {
					for range many(t) {
						want.MarkFailed()
						got.MarkFailed()
					}
				},
				"permit": func(t *rapid.T) {
					p, err := got.Acquire()
					if err != nil { // counted at once, as Kratos counts it
						want.MarkFailed()
						return
					}
					time.Sleep(time.Duration(rapid.Int64Range(0, int64(2*span)).Draw(t, "took")))
					switch o := rapid.SampledFrom([]breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored}).Draw(t, "outcome"); o {
					case breaker.Success:
						want.MarkSuccess()
						p.Done(o)
					case breaker.Failure:
						want.MarkFailed()
						p.Done(o)
					default:
						p.Done(o)
					}
				},
				"reconfigure": func(t *rapid.T) {
					if got.Snapshot().RejectRatio > 0 {
						return // it would be postponed
					}
					success := rapid.SampledFrom([]float64{0.6, 0.5, 0.9, 1}).Draw(t, "success")
					request := rapid.SampledFrom([]int64{1, 10, 100}).Draw(t, "request")
					got.Reconfigure(sre.Classic(), sre.WithSuccess(success), sre.WithRequest(request),
						sre.WithBucket(buckets), sre.WithWindow(window))
					want.reconfigure(success, request)
				},
				"reshape": func(t *rapid.T) {
					n := rapid.IntRange(1, 20).Draw(t, "buckets")
					w := time.Duration(rapid.Int64Range(int64(n)*1000, int64(5*time.Second)).Draw(t, "window"))
					// The buckets of aegis begin with the breaker.
					time.Sleep(w/time.Duration(n) - time.Since(created)%(w/time.Duration(n)))
					if n == buckets && w/time.Duration(n) == span || got.Snapshot().RejectRatio > 0 {
						return
					}
					buckets, window, span = n, w, w/time.Duration(n)
					success, request := 1/want.private("k").Float(), want.private("request").Int()
					got.Reconfigure(sre.Classic(), sre.WithSuccess(success), sre.WithRequest(request),
						sre.WithBucket(buckets), sre.WithWindow(window))
					want = newReference(aegis.WithSuccess(success), aegis.WithRequest(request), aegis.WithBucket(buckets), aegis.WithWindow(window))
				},
				"": func(t *rapid.T) { requireSame(t, want, got) },
			})
		})
	})
}

// TestClassic_DecidesAsAegisWhereNobodyMarksRejections compares for a host that
// marks what it calls, and nothing else.
func TestClassic_DecidesAsAegisWhereNobodyMarksRejections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			success := rapid.SampledFrom([]float64{0.6, 0.5, 0.9, 1}).Draw(t, "success")
			request := rapid.SampledFrom([]int64{1, 10, 100}).Draw(t, "request")
			want := newReference(aegis.WithSuccess(success), aegis.WithRequest(request))
			got := classic(sre.WithSuccess(success), sre.WithRequest(request), sre.WithUnmarkedRejections())
			var totals breaker.Totals
			call := func(ask func() error, succeed, fail func(), succeeds bool) {
				totals.Offered++
				if ask() != nil {
					totals.Rejected++
					return
				}
				totals.Allowed++
				if succeeds {
					totals.Success++
					want.MarkSuccess()
					succeed()
				} else {
					totals.Failure++
					want.MarkFailed()
					fail()
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"step": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(0, 1000).Draw(t, "ms")) * time.Millisecond)
				},
				"Allow": func(t *rapid.T) {
					succeeds := rapid.Bool().Draw(t, "succeeds")
					for range rapid.SampledFrom([]int{1, 7, 40, 150}).Draw(t, "calls") {
						call(got.Allow, got.MarkSuccess, got.MarkFailed, succeeds)
					}
				},
				"Acquire": func(t *rapid.T) {
					succeeds := rapid.Bool().Draw(t, "succeeds")
					for range rapid.SampledFrom([]int{1, 7, 40, 150}).Draw(t, "calls") {
						var p breaker.Permit
						call(func() (err error) { p, err = got.Acquire(); return err },
							func() { p.Done(breaker.Success) }, func() { p.Done(breaker.Failure) }, succeeds)
					}
				},
				"": func(t *rapid.T) {
					s := got.Snapshot()
					require.Equal(t, totals, s.Totals)
					success, total := want.window()
					require.Equal(t, success, s.Window.Success)
					require.Equal(t, total, s.Window.Success+s.Window.Failure)
					requireSameDecision(t, want, got)
				},
			})
		})
	})
}

// TestClassic_DecidesAsAegisThroughAnOutage follows one long history at a real
// rate: healthy, failing a little, down, healed, idle. Every call is decided
// by ours, so that mistakes would add up.
func TestClassic_DecidesAsAegisThroughAnOutage(t *testing.T) {
	for _, rate := range []int{10, 100, 1000} {
		t.Run(fmt.Sprintf("%d a second", rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want, got := newReference(), classic()
				rejected := 0
				for second, failing := range []int{0, 0, 0, 0, 10, 30, 39, 100, 100, 100, 100, 100, 0, 0, 0, 0, 0, 0, 0, 0} {
					for i := range rate {
						time.Sleep(time.Second / time.Duration(rate))
						requireSame(t, want, got)
						p, err := got.Acquire()
						if err != nil {
							rejected++
							want.MarkFailed()
						} else if (second*rate+i*37)%100 < failing {
							p.Done(breaker.Failure)
							want.MarkFailed()
						} else {
							p.Done(breaker.Success)
							want.MarkSuccess()
						}
					}
				}
				require.Equal(t, rate > 33, rejected > 0)
				time.Sleep(3 * time.Second)
				requireSame(t, want, got)
				require.Zero(t, got.Snapshot().Window.Total())
			})
		})
	}
}

// TestClassic_RejectsTheShareThatItReports draws a million times. Five standard
// deviations leave one chance in 600 000, for the three together, that a right
// breaker fails.
func TestClassic_RejectsTheShareThatItReports(t *testing.T) {
	const draws = 1_000_000
	for _, success := range []int{50, 300, 590} {
		t.Run(fmt.Sprintf("%d of 1000 succeeded", success), func(t *testing.T) {
			b := classic(sre.WithWindow(time.Hour), sre.WithBucket(1))
			for i := range 1000 {
				if i < success {
					b.MarkSuccess()
				} else {
					b.MarkFailed()
				}
			}
			p := b.Snapshot().RejectRatio
			require.InDelta(t, (1000-float64(success)/0.6)/1001, p, 1e-12)
			rejected := 0
			for range draws {
				if b.Allow() != nil {
					rejected++
				}
			}
			require.InDelta(t, p*draws, rejected, 5*math.Sqrt(draws*p*(1-p)))
			require.Equal(t, p, b.Snapshot().RejectRatio, "Allow alone counts nothing in the window")
		})
	}
}
