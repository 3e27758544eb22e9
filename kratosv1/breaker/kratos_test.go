package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	root "github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/kratosv1/breaker"
)

// The tests of this file have the numbers of what is known of Kratos v1: see
// docs/migrate.md.

var errDown = errors.New("down")

func TestK01_TheConstantsHaveTheNumbersOfKratosV1(t *testing.T) {
	require.Equal(t, []int32{0, 1, 2}, []int32{breaker.StateOpen, breaker.StateClosed, breaker.StateHalfopen})
}

func TestK02_ZeroFieldsTakeTheDefaultsOfKratosV1(t *testing.T) {
	for _, g := range []*breaker.Group{
		breaker.NewGroup(nil), breaker.NewGroup(&breaker.Config{}),
		breaker.NewGroup(&breaker.Config{K: 1.5, Window: breaker.Duration(3 * time.Second), Bucket: 10, Request: 100}),
	} {
		b := g.Get("a")
		require.Equal(t, 3*time.Second, snapshot(b).Window.Length)
		mark(b, 0, 99)
		require.Zero(t, snapshot(b).RejectRatio)
		mark(b, 0, 1)
		require.Equal(t, 100.0/101, snapshot(b).RejectRatio)
		mark(b, 200, 0)
		require.Zero(t, snapshot(b).RejectRatio, "200 of 300 are two thirds")
		mark(b, 0, 1)
		require.Positive(t, snapshot(b).RejectRatio)
	}
	synctest.Test(t, func(t *testing.T) {
		b := breaker.NewGroup(&breaker.Config{}).Get("a")
		mark(b, 1, 0)
		time.Sleep(300 * time.Millisecond)
		mark(b, 1, 0)
		time.Sleep(2699 * time.Millisecond)
		require.EqualValues(t, 2, snapshot(b).Window.Success)
		time.Sleep(time.Millisecond)
		require.EqualValues(t, 1, snapshot(b).Window.Success, "the first of 10 buckets is over")
	})
}

func TestK03_TheConfigOfTheCallerIsNeitherWrittenNorKept(t *testing.T) {
	reinit(t)
	c := &breaker.Config{Request: 7}
	was := *c
	g := breaker.NewGroup(c)
	g.Reload(c)
	breaker.Init(c)
	require.Equal(t, was, *c)
	c.Request, c.K = 1, math.NaN()
	b := g.Get("a")
	mark(b, 0, 6)
	require.Zero(t, snapshot(b).RejectRatio)
	mark(b, 0, 1)
	require.Positive(t, snapshot(b).RejectRatio)
	require.NotPanics(t, func() { breaker.NewGroup(nil).Get("a") })
}

func TestK04_ANilConfigIsThatOfTheLastInit(t *testing.T) {
	reinit(t)
	breaker.Init(&breaker.Config{Window: breaker.Duration(time.Minute)})
	require.Equal(t, time.Minute, snapshot(breaker.NewGroup(nil).Get("a")).Window.Length)
	breaker.Init(&breaker.Config{Window: breaker.Duration(time.Hour)})
	require.Equal(t, time.Hour, snapshot(breaker.NewGroup(nil).Get("a")).Window.Length)
}

func TestK05_InitReloadsTheDefaultGroupToo(t *testing.T) {
	reinit(t)
	before := breaker.Default().Get(t.Name())
	own := breaker.NewGroup(nil).Get("a")
	breaker.Init(nil) // changes nothing
	require.Equal(t, 3*time.Second, snapshot(before).Window.Length)
	breaker.Init(&breaker.Config{Window: breaker.Duration(time.Minute)})
	require.Equal(t, time.Minute, snapshot(before).Window.Length)
	require.Same(t, before, breaker.Default().Get(t.Name()))
	require.Equal(t, time.Minute, snapshot(breaker.Default().Get(t.Name()+" 2")).Window.Length)
	require.NoError(t, own.Allow())
	require.Equal(t, 3*time.Second, snapshot(own).Window.Length, "a group of one's own stays")
}

func TestK06_AnEmptyConfigIsGoodAndAWrongOneChangesNothing(t *testing.T) {
	reinit(t)
	breaker.Init(&breaker.Config{})
	require.NoError(t, breaker.NewGroup(nil).Get("a").Allow())

	g := breaker.NewGroup(&breaker.Config{Window: breaker.Duration(time.Minute)})
	b := g.Get("a")
	for want, c := range map[string]breaker.Config{
		"kratosv1/breaker: Config.K(NaN): want a number in [1, 1000000], or 0 for 1.5":                           {K: math.NaN()},
		"kratosv1/breaker: Config.K(+Inf): want a number in [1, 1000000], or 0 for 1.5":                          {K: math.Inf(1)},
		"kratosv1/breaker: Config.K(-1.5): want a number in [1, 1000000], or 0 for 1.5":                          {K: -1.5},
		"kratosv1/breaker: Config.K(0.99): want a number in [1, 1000000], or 0 for 1.5":                          {K: 0.99},
		"kratosv1/breaker: Config.K(1.000001e+06): want a number in [1, 1000000], or 0 for 1.5":                  {K: 1_000_001},
		"kratosv1/breaker: Config.Window(-1s): want a duration in [1µs, 24h], or 0 for 3s":                       {Window: breaker.Duration(-time.Second)},
		"kratosv1/breaker: Config.Window(24h0m0.000000001s): want a duration in [1µs, 24h], or 0 for 3s":         {Window: breaker.Duration(24*time.Hour + 1)},
		"kratosv1/breaker: Config.Bucket(-1): want a number in [1, 100000], or 0 for 10":                         {Bucket: -1},
		"kratosv1/breaker: Config.Bucket(100001): want a number in [1, 100000], or 0 for 10":                     {Bucket: 100_001},
		"kratosv1/breaker: Config.Bucket(10): want buckets of at least 1µs; Window(9µs) has room for 9":          {Window: breaker.Duration(9 * time.Microsecond)},
		"kratosv1/breaker: Config.Bucket(4000): want buckets of at least 1µs; Window(3.999ms) has room for 3999": {Window: breaker.Duration(3999 * time.Microsecond), Bucket: 4000},
		"kratosv1/breaker: Config.Request(-1): want a number of calls in [1, 1000000000], or 0 for 100":          {Request: -1},
		"kratosv1/breaker: Config.Request(1000000001): want a number of calls in [1, 1000000000], or 0 for 100":  {Request: 1_000_000_001},
	} {
		require.PanicsWithValue(t, want, func() { breaker.NewGroup(&c) })
		c.SwitchOff = true
		before := snapshot(b)
		require.PanicsWithValue(t, want, func() { g.Reload(&c) })
		require.Equal(t, before, snapshot(b))
		require.NoError(t, b.Allow())
		require.Equal(t, before, snapshot(b))
		require.Equal(t, time.Minute, snapshot(g.Get("new of "+want)).Window.Length)
		require.PanicsWithValue(t, want, func() { breaker.Init(&c) })
		require.Equal(t, 3*time.Second, snapshot(breaker.NewGroup(nil).Get("a")).Window.Length)
		require.Equal(t, 3*time.Second, snapshot(breaker.Default().Get(t.Name())).Window.Length)
	}
	for _, c := range []breaker.Config{ // the bounds themselves are good
		{K: 1, Window: breaker.Duration(time.Microsecond), Bucket: 1, Request: 1},
		{K: 1e6, Window: breaker.Duration(24 * time.Hour), Bucket: 100_000, Request: 1e9},
		{Window: breaker.Duration(100 * time.Millisecond), Bucket: 100_000},
	} {
		require.NoError(t, breaker.NewGroup(&c).Get("a").Allow())
		g := breaker.NewGroup(nil)
		b := g.Get("a")
		g.Reload(&c)
		require.NoError(t, b.Allow())
	}
}

func TestK07_AKeyHasOneBreakerOfItsOwn(t *testing.T) {
	g := breaker.NewGroup(nil)
	require.Zero(t, g.Keys().Held, "made when it is asked for")
	a := g.Get("a")
	require.Same(t, a, g.Get("a"))
	require.NotSame(t, a, g.Get("b"))
	mark(a, 0, 1000)
	require.Positive(t, rejects(a, 100))
	require.Zero(t, rejects(g.Get("b"), 100))
	require.Equal(t, "a", snapshot(a).Name)
}

func TestK08_WhoeverGetsAKeyFirstGetsTheSameBreaker(t *testing.T) {
	const goroutines, rounds = 8, 1000
	for range rounds {
		g := breaker.NewGroup(nil)
		var got [goroutines]breaker.Breaker
		var ready atomic.Int32
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				ready.Add(1)
				for ready.Load() < goroutines {
					runtime.Gosched()
				}
				got[i] = g.Get("a")
				got[i].MarkFailed()
			})
		}
		wg.Wait()
		for _, b := range got {
			require.Same(t, got[0], b)
		}
		require.EqualValues(t, goroutines, snapshot(got[0]).Totals.Failure)
	}
}

func TestK09_ReloadChangesTheBreakersInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &breaker.Config{}
		g := breaker.NewGroup(c)
		b := g.Get("a")
		mark(b, 60, 90)
		was := snapshot(b)
		g.Reload(nil)
		require.Equal(t, was, snapshot(b))

		// Of the same shape, which keeps the window. It was open, so this waits.
		require.Equal(t, root.Open, was.State)
		g.Reload(&breaker.Config{Request: 1e9})
		require.Equal(t, was, snapshot(b), "a reload closes no breaker")
		time.Sleep(3 * time.Second)
		require.NoError(t, b.Allow())
		mark(b, 0, 500)
		require.Zero(t, rejects(b, 100), "it has closed by itself")
		g.Reload(&breaker.Config{Request: 600})
		require.EqualValues(t, 500, snapshot(b).Window.Failure, "the window is kept")
		require.Zero(t, rejects(b, 100))
		g.Reload(&breaker.Config{Request: 500})
		require.Positive(t, rejects(b, 100), "the same window, judged by other numbers")

		// Of another shape.
		b = g.Get("b")
		mark(b, 5, 5)
		g.Reload(&breaker.Config{Window: breaker.Duration(time.Minute)})
		require.Equal(t, root.Window{Length: time.Minute}, snapshot(b).Window)
		require.EqualValues(t, 10, snapshot(b).Totals.Offered)
		require.Same(t, b, g.Get("b"))
		require.Equal(t, time.Minute, snapshot(g.Get("new")).Window.Length)
	})
}

func TestK10_GoCallsTheFallbackForARejectionOnly(t *testing.T) {
	g := breaker.NewGroup(nil)
	ran, fell := 0, 0
	run := func() error { ran++; return errDown }
	fallback := func() error { fell++; return nil }
	require.Same(t, errDown, g.Go("a", run, fallback), "its error is returned as it is")
	require.NoError(t, g.Go("a", func() error { return nil }, fallback))
	require.Equal(t, []int{1, 0}, []int{ran, fell})

	mark(g.Get("a"), 0, 100_000)
	errFallback := errors.New("fallback")
	for fell == 0 {
		require.NoError(t, ignore(g.Go("a", run, fallback), errDown))
	}
	ran = 0
	require.Same(t, errFallback, first(t, func() error { return g.Go("a", run, func() error { return errFallback }) }, errDown))
	require.Zero(t, ran)
}

// ignore returns err unless it is the one that is expected.
func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// first returns the first error that is not the one of a call that was allowed.
func first(t *testing.T, call func() error, allowed error) error {
	t.Helper()
	for range 1000 {
		if err := call(); err != allowed {
			return err
		}
	}
	t.Fatal("no call was rejected")
	return nil
}

func TestK11_GoTracksTheBreaker(t *testing.T) {
	g := breaker.NewGroup(nil)
	b := g.Get("a")
	ran := uint64(0)
	for range 10_000 {
		_ = g.Go("a", func() error { ran++; return errDown }, nil)
	}
	s := snapshot(b)
	require.Equal(t, root.Open, s.State)
	require.Equal(t, root.Totals{Offered: 10_000, Allowed: ran, Failure: ran, Rejected: 10_000 - ran}, s.Totals)
	require.Less(t, ran, uint64(2000))

	b = g.Get("b")
	require.NoError(t, g.Go("b", func() error { return nil }, nil))
	require.ErrorIs(t, g.Go("b", func() error { return fmt.Errorf("asking: %w", context.Canceled) }, nil), context.Canceled)
	require.Equal(t, root.Totals{Offered: 2, Allowed: 2, Success: 1, Ignored: 1}, snapshot(b).Totals)
}

func TestK12_GoTakesANilFallbackAndAPanic(t *testing.T) {
	g := breaker.NewGroup(nil)
	b := g.Get("a")
	require.PanicsWithValue(t, "boom", func() { _ = g.Go("a", func() error { panic("boom") }, nil) })
	require.EqualValues(t, 1, snapshot(b).Totals.Failure)
	_, returned := breakertest.EndOf(func() { _ = g.Go("a", func() error { runtime.Goexit(); return nil }, nil) })
	require.False(t, returned)
	require.Equal(t, root.Totals{Offered: 2, Allowed: 2, Failure: 2}, snapshot(b).Totals)
	require.Error(t, g.Go("a", nil, nil))
	require.EqualValues(t, 2, snapshot(b).Totals.Offered)

	mark(b, 0, 1000)
	err := first(t, func() error { return g.Go("a", func() error { return nil }, nil) }, nil)
	requireRejection(t, err, "a")
	require.PanicsWithValue(t, "fell", func() {
		for range 1000 {
			_ = g.Go("a", func() error { return nil }, func() error { panic("fell") })
		}
	})
	require.Zero(t, snapshot(b).Totals.InFlight)
}

func TestK13_SwitchOffAllowsEveryCallAndGoesOnCounting(t *testing.T) {
	g := breaker.NewGroup(&breaker.Config{SwitchOff: true})
	b := g.Get("a")
	mark(b, 0, 1000)
	require.Zero(t, rejects(b, 1000))
	require.EqualValues(t, 1000, snapshot(b).Totals.Failure)
	require.Equal(t, root.Open, snapshot(b).State, "it comes to its own state all the same")
	require.Zero(t, snapshot(b).RejectRatio)
	require.Same(t, errDown, g.Go("a", func() error { return errDown }, nil))

	g.Reload(&breaker.Config{})
	require.Positive(t, rejects(b, 100), "the breaker that is held is switched on")
	g.Reload(&breaker.Config{SwitchOff: true})
	require.Zero(t, rejects(b, 1000))
	require.Zero(t, rejects(g.Get("new"), 1000))
}

// law is what Kratos v1 computes, operation by operation.
func law(k float64, request, success, total int64) float64 {
	accepted := k * float64(success)
	if total < request || float64(total) < accepted {
		return 0
	}
	return math.Max(0, (float64(total)-accepted)/float64(total+1))
}

func TestK14_TheLawIsThatOfKratosV1ToTheLastBit(t *testing.T) {
	for _, c := range []struct {
		success, failure int
		want             float64
	}{
		{0, 99, 0},
		{200, 99, 0},
		{200, 100, 0}, // there, it is open and rejects nothing
		{200, 400, 300.0 / 601},
	} {
		b := breaker.NewGroup(nil).Get("a")
		mark(b, c.success, c.failure)
		require.Equal(t, c.want, snapshot(b).RejectRatio)
		// Five standard deviations of 10 000 calls, of which none is marked.
		require.InDelta(t, c.want*10_000, rejects(b, 10_000), 5*math.Sqrt(10_000*c.want*(1-c.want)))
		require.Equal(t, c.want, snapshot(b).RejectRatio, "as there, asking alone counts nothing")
	}
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom([]float64{1.5, 1, 1.1, 1.25, 1.3, 2, 3, 4.7, 100}).Draw(t, "k")
		request := rapid.SampledFrom([]int64{1, 10, 100}).Draw(t, "request")
		success, failure := rapid.IntRange(0, 300).Draw(t, "success"), rapid.IntRange(0, 300).Draw(t, "failure")
		b := breaker.NewGroup(&breaker.Config{K: k, Request: request}).Get("a")
		mark(b, success, failure)
		require.Equal(t, law(k, request, int64(success), int64(success+failure)), snapshot(b).RejectRatio)
	})
}

// TestK14_AKWithoutAnInverseIsOffByItsLastBit tells what the test above leaves
// out: 1/(1/k) is k for most k that people write, and its neighbour for the others.
func TestK14_AKWithoutAnInverseIsOffByItsLastBit(t *testing.T) {
	inexact := 0
	for hundredths := 100; hundredths <= 1000; hundredths++ {
		k := float64(hundredths) / 100
		if 1/(1/k) != k {
			inexact++
		}
		b := breaker.NewGroup(&breaker.Config{K: k}).Get("a")
		mark(b, 7, 400)
		require.InDelta(t, law(k, 100, 7, 407), snapshot(b).RejectRatio, 1e-15)
	}
	require.Equal(t, 135, inexact)
	require.NotEqual(t, 1.8, 1/(1/opaque(1.8)))
}

//go:noinline
func opaque(f float64) float64 { return f }

// codes is the interface of Kratos v1's package ecode, and cause its function
// Cause, of a code that it knows.
type codes interface {
	Error() string
	Code() int
	Message() string
	Details() []any
}

func cause(err error) int {
	if c, ok := err.(codes); ok {
		return c.Code()
	}
	if i, err := strconv.Atoi(err.Error()); err == nil {
		return i
	}
	return -500
}

// requireRejection requires what callers may expect of the error of a rejection.
func requireRejection(t *testing.T, err error, name string) {
	t.Helper()
	require.Equal(t, -503, cause(err), "ecode.ServiceUnavailable")
	require.Empty(t, err.(codes).Details())
	require.Equal(t, err.Error(), err.(codes).Message())
	require.ErrorIs(t, err, aegis.ErrNotAllowed)
	require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
	var rejected *root.RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, name, rejected.Name())
	require.Equal(t, root.ReasonThrottled, rejected.Reason())
}

func TestK15_TheErrorOfARejectionIsServiceUnavailable(t *testing.T) {
	b := breaker.NewGroup(nil).Get("users")
	mark(b, 0, 1000)
	requireRejection(t, first(t, b.Allow, nil), "users")
	if testing.AllocsPerRun(1000, func() { _ = b.Allow() }) != 0 {
		t.Fatal("a rejection allocates")
	}
}

func TestK16_TheShareOfFailuresThatIsAllowedIsOneMinusOneByK(t *testing.T) {
	for k, percent := range map[float64]int{1.25: 20, 2: 50, 4: 75, 10: 90} {
		b := breaker.NewGroup(&breaker.Config{K: k}).Get("a")
		mark(b, 10*(100-percent), 10*percent)
		require.Zero(t, snapshot(b).RejectRatio)
		require.Equal(t, root.Closed, snapshot(b).State)
		mark(b, 0, 1)
		require.Positive(t, snapshot(b).RejectRatio)
		require.Equal(t, root.Open, snapshot(b).State)
	}
	b := breaker.NewGroup(&breaker.Config{K: 1}).Get("a")
	mark(b, 1000, 0)
	require.Equal(t, root.Closed, snapshot(b).State, "open is who rejects something")
	require.Zero(t, rejects(b, 1000))
}

func TestK17_ThePackageLevelGoUsesOneGroup(t *testing.T) {
	name := freshName(t)
	require.NoError(t, breaker.Go(name, func() error { return nil }, nil))
	require.Same(t, errDown, breaker.Go(name, func() error { return errDown }, nil))
	require.Equal(t, root.Totals{Offered: 2, Allowed: 2, Success: 1, Failure: 1}, snapshot(breaker.Default().Get(name)).Totals)
}

// freshName is a name that the default group does not have yet, in a repetition of
// the test either.
func freshName(t *testing.T) string { return fmt.Sprint(t.Name(), " ", time.Now().UnixNano()) }

// TestK18_HostsDoNotMarkRejections calls as the clients of Kratos v1 do.
func TestK18_HostsDoNotMarkRejections(t *testing.T) {
	b := breaker.NewGroup(nil).Get("a")
	var want root.Totals
	call := func(err error) {
		want.Offered++
		if b.Allow() != nil {
			want.Rejected++
			return
		}
		want.Allowed++
		if err != nil {
			want.Failure++
			b.MarkFailed()
			return
		}
		want.Success++
		b.MarkSuccess()
	}
	for i := range 3000 {
		err := errDown
		if i%10 == 0 {
			err = nil
		}
		call(err)
		require.Equal(t, want, snapshot(b).Totals, "each MarkFailed is the failure of a call")
	}
	require.Positive(t, want.Rejected)
	s := snapshot(b)
	require.Equal(t, law(1.5, 100, int64(want.Success), int64(want.Success+want.Failure)), s.RejectRatio)
}

type coded struct{ code int }

func (c coded) Error() string   { return strconv.Itoa(c.code) }
func (c coded) Code() int       { return c.code }
func (c coded) Message() string { return c.Error() }
func (c coded) Details() []any  { return nil }

func TestK18_GoJudgesErrorsAsTheWardenClientDoes(t *testing.T) {
	b := breaker.NewGroup(nil).Get("a")
	mark(b, 0, 1000)
	rejection := first(t, b.Allow, nil)
	name := freshName(t)
	for _, c := range []struct {
		err  error
		want root.Outcome
	}{
		{nil, root.Success},
		{errDown, root.Failure},
		{context.DeadlineExceeded, root.Failure},
		{coded{-500}, root.Failure},
		{coded{-503}, root.Failure},
		{coded{-504}, root.Failure},
		{coded{-509}, root.Failure},
		{coded{-404}, root.Success},
		{coded{-400}, root.Success},
		{coded{0}, root.Success},
		{coded{65_007}, root.Success},
		{fmt.Errorf("asking: %w", coded{-404}), root.Success},
		{coded{-498}, root.Ignored},
		{context.Canceled, root.Ignored},
		{rejection, root.Ignored},
		{fmt.Errorf("asking: %w", aegis.ErrNotAllowed), root.Ignored},
	} {
		require.Equal(t, c.want, breaker.Classify(c.err), "%v", c.err)
		before := snapshot(breaker.Default().Get(name)).Totals
		require.Equal(t, c.err, breaker.Go(name, func() error { return c.err }, nil))
		require.Equal(t, breakertest.Add(root.Totals{
			Offered: before.Offered + 1, Allowed: before.Allowed + 1,
			Success: before.Success, Failure: before.Failure, Ignored: before.Ignored,
		}, c.want), snapshot(breaker.Default().Get(name)).Totals)
	}
}

func TestClassify_NoErrorMakesItPanic(t *testing.T) {
	var missing *net.OpError
	var code *nilCode
	for _, err := range []error{missing, fmt.Errorf("call: %w", missing), errors.Join(missing, errors.New("other")), code} {
		require.NotPanics(t, func() { require.Equal(t, root.Failure, breaker.Classify(err)) })
	}
}

type nilCode struct{ code int }

func (e *nilCode) Error() string { return fmt.Sprint(e.code) }
func (e *nilCode) Code() int     { return e.code }
func (*nilCode) Message() string { return "" }
func (*nilCode) Details() []any  { return nil }
