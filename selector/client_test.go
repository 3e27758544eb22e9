package selector_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratos "github.com/go-kratos/kratos/v2/selector"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/selector"
)

// chooses is a handler that calls a node, which answers err.
func chooses(address string, reply any, err error) func(context.Context, any) (any, error) {
	return func(ctx context.Context, _ any) (any, error) {
		peer, _ := kratos.FromPeerContext(ctx)
		peer.Node = kratos.NewNode("http", address, nil)
		return reply, err
	}
}

func peered(t *testing.T) context.Context {
	return kratos.NewPeerContext(t.Context(), new(kratos.Peer))
}

func totals(n *selector.Nodes) map[string]breaker.Totals {
	all := make(map[string]breaker.Totals)
	for l := range n.Breakers() {
		all[l.Key] = l.Breaker.Snapshot().Totals
	}
	return all
}

func TestClient_CountsTheOutcomeForTheNodeThatWasCalled(t *testing.T) {
	for _, test := range []struct {
		err  error
		want breaker.Totals
	}{
		{nil, breaker.Totals{Success: 1}},
		{kratoserrors.NotFound("USER", ""), breaker.Totals{Success: 1}},
		{kratoserrors.New(502, "", ""), breaker.Totals{Failure: 1}},
		{context.DeadlineExceeded, breaker.Totals{Failure: 1}},
		{kratoserrors.New(501, "", ""), breaker.Totals{Ignored: 1}},
		{breaker.NewRejectedError("", breaker.Open, breaker.ReasonOpen, time.Time{}, nil), breaker.Totals{Ignored: 1}},
	} {
		n := selector.NewNodes()
		reply, err := n.Client()(chooses(a, "reply", test.err))(peered(t), nil)
		require.Equal(t, "reply", reply)
		require.Equal(t, test.err, err)
		test.want.Offered, test.want.Allowed = 1, 1
		require.Equal(t, map[string]breaker.Totals{a: test.want}, totals(n), "%v", test.err)
	}
}

func TestClient_TellsACancellationByTheCallerFromOneByTheNode(t *testing.T) {
	n := selector.NewNodes()
	_, err := n.Client()(chooses(a, nil, context.Canceled))(peered(t), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, uint64(1), totals(n)[a].Failure)

	ctx, cancel := context.WithCancelCause(peered(t))
	enough := errors.New("enough")
	cancel(enough)
	_, err = n.Client()(chooses(a, nil, enough))(ctx, nil)
	require.Equal(t, enough, err)
	require.Equal(t, uint64(1), totals(n)[a].Ignored)
}

// A caller with little time left, say behind a slow call to somebody else, made
// no call of it, and the node was blamed.
func TestRegression_DeadlinesThatWereOverBeforeTheCallEjectedAHealthyNode(t *testing.T) {
	for name, opts := range map[string][]selector.Option{
		"default":        nil,
		"own classifier": {selector.WithClassifier(cberrors.NewClassifier(cberrors.WithOverload()))},
	} {
		t.Run(name, func(t *testing.T) {
			n := selector.NewNodes(append(opts, selector.WithCircuitBreaker(func() *circuit.Breaker {
				return circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
			}))...)
			for _, ctx := range ended(t) {
				for range 5 {
					_, err := n.Client()(chooses(a, nil, ctx.Err()))(ctx, nil)
					require.ErrorIs(t, err, ctx.Err())
				}
			}
			require.Equal(t, map[string]breaker.Totals{a: {Offered: 10, Allowed: 10, Ignored: 10}}, totals(n))
			require.Len(t, n.Filter(t.Context(), nodesOf(2)), 2)
		})
	}
}

// ended are contexts of callers that are too late: one that was cancelled, and
// one past its deadline.
func ended(t *testing.T) []context.Context {
	left, cancel := context.WithCancel(peered(t))
	cancel()
	late, cancel := context.WithTimeout(peered(t), -time.Second)
	t.Cleanup(cancel)
	return []context.Context{left, late}
}

func TestClient_OfACallThatBeganTooLateAFailureIsTheCallers(t *testing.T) {
	for _, ctx := range ended(t) {
		n := selector.NewNodes()
		reply, err := n.Client()(chooses(a, "reply", nil))(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, "reply", reply)
		_, err = n.Client()(chooses(a, nil, errDown))(ctx, nil)
		require.Equal(t, errDown, err)
		call := n.Client()(func(ctx context.Context, req any) (any, error) {
			_, _ = chooses(a, nil, nil)(ctx, req)
			panic("boom")
		})
		require.Panics(t, func() { _, _ = call(ctx, nil) })
		require.Equal(t, map[string]breaker.Totals{a: {Offered: 3, Allowed: 3, Success: 1, Failure: 1, Ignored: 1}}, totals(n))
	}
}

func TestWithClassifier_SaysWhatErrorsMean(t *testing.T) {
	n := selector.NewNodes(selector.WithClassifier(func(err error) breaker.Outcome {
		if errors.Is(err, context.Canceled) {
			return breaker.Ignored
		}
		return breaker.Success
	}))
	_, _ = n.Client()(chooses(a, nil, errDown))(peered(t), nil)
	ctx, cancel := context.WithCancelCause(peered(t))
	cancel(errDown)
	_, _ = n.Client()(chooses(a, nil, errDown))(ctx, nil)
	require.Equal(t, map[string]breaker.Totals{a: {Offered: 2, Allowed: 2, Success: 1, Ignored: 1}}, totals(n))
}

func TestClient_CountsAPanicAndGoexitAsFailures(t *testing.T) {
	n := selector.NewNodes()
	for _, end := range []func(){func() { panic("boom") }, runtime.Goexit} {
		call := n.Client()(func(ctx context.Context, req any) (any, error) {
			_, _ = chooses(a, nil, nil)(ctx, req)
			end()
			return nil, nil
		})
		ctx := peered(t)
		_, returned := breakertest.EndOf(func() { _, _ = call(ctx, nil) })
		require.False(t, returned)
	}
	require.Equal(t, uint64(2), totals(n)[a].Failure)
}

func TestClient_APanicGoesOnWithItsValue(t *testing.T) {
	call := selector.NewNodes().Client()(func(context.Context, any) (any, error) { panic("boom") })
	require.PanicsWithValue(t, "boom", func() { _, _ = call(peered(t), nil) })
}

func TestClient_LearnsNothingWhenNoNodeWasChosen(t *testing.T) {
	n := selector.NewNodes()
	fails := func(context.Context, any) (any, error) { return "reply", errDown }
	for _, ctx := range []context.Context{t.Context(), peered(t), kratos.NewPeerContext(t.Context(), nil)} {
		reply, err := n.Client()(fails)(ctx, nil)
		require.Equal(t, "reply", reply)
		require.Equal(t, errDown, err)
	}
	require.Empty(t, totals(n))
}

// A retry outside makes each attempt with the same peer.
func TestClient_DoesNotBlameTheNodeOfAnEarlierAttempt(t *testing.T) {
	n := selector.NewNodes()
	ctx := peered(t)
	_, _ = n.Client()(chooses(a, nil, nil))(ctx, nil)
	_, err := n.Client()(func(context.Context, any) (any, error) { return nil, errDown })(ctx, nil)
	require.Equal(t, errDown, err)
	require.Equal(t, map[string]breaker.Totals{a: {Offered: 1, Allowed: 1, Success: 1}}, totals(n))
}

// Calls hang when their node dies, and time out when it is ejected, or even well
// again.
func TestClient_LateResultsMoveNothing(t *testing.T) {
	for name, healed := range map[string]bool{"ejected": false, "well again": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, nodesOf(2), selector.WithCircuitBreaker(func() *circuit.Breaker {
					return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Second))
				}))
				timeout := make(chan struct{})
				hangs := p.nodes.Client()(func(ctx context.Context, req any) (any, error) {
					<-timeout
					return chooses(a, nil, errDown)(ctx, req)
				})
				for range 50 {
					ctx := peered(t)
					go func() { _, _ = hangs(ctx, nil) }()
				}
				synctest.Wait()
				p.eject(a)
				if healed {
					p.heal(a)
					p.until(100, 2*time.Second, func() bool { return !p.ejected(a) })
				}
				before := totals(p.nodes)
				close(timeout)
				synctest.Wait()
				require.Equal(t, before, totals(p.nodes))
				require.Equal(t, !healed, p.ejected(a))
				p.heal(a)
				p.until(1000, 1100*time.Millisecond, func() bool { return !p.ejected(a) })
			})
		})
	}
}

// Streams pass no middleware that could settle a permit, and neither does what
// http.Client.Do sends.
func TestFilter_TakesNoPermitForACallThatNobodySettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2), selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Second))
		}))
		p.eject(a)
		before := totals(p.nodes)
		time.Sleep(time.Second)
		for range 1000 {
			_, _ = p.handle(peered(t), nil)
		}
		require.Equal(t, before, totals(p.nodes))
		require.Nil(t, p.nodes.Filter(nil, nil))                //nolint:staticcheck // a nil context is no reason to panic
		require.Len(t, p.nodes.Filter(nil, p.offered), 1)       //nolint:staticcheck // see above
		require.Len(t, p.nodes.Filter(peered(t), p.offered), 1) // no middleware
	})
}

// As gRPC does if the connection was lost meanwhile, and for its own retries.
func TestFilter_AsksOnceForACallThatChoosesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2), selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Second), circuit.WithProbes(9, 9))
		}))
		p.eject(a)
		p.call = p.nodes.Client()(func(ctx context.Context, req any) (any, error) {
			if _, err := p.handle(ctx, req); err == nil {
				return nil, nil
			}
			return p.handle(ctx, req)
		})
		time.Sleep(time.Second)
		_, failed := p.traffic(1000, time.Second)
		require.Zero(t, failed)
		s := p.breaker(a).Snapshot()
		require.NotZero(t, s.Totals.Ignored, "the probes, which another node answered")
		require.Zero(t, s.Totals.InFlight)
	})
}

// A call that goes on in the background, as the losers of a hedge, finds that the
// middleware is through with it.
func TestFilter_TakesNoPermitForACallThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2), selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Second))
		}))
		p.eject(a)
		var late context.Context
		_, _ = p.nodes.Client()(func(ctx context.Context, _ any) (any, error) {
			late = ctx
			return nil, nil
		})(peered(t), nil)
		time.Sleep(time.Second)
		for range 100 {
			require.Equal(t, b, p.nodes.Filter(late, p.offered)[0].Address())
		}
		require.Zero(t, p.breaker(a).Snapshot().Totals.InFlight)
	})
}

func TestNodes_APersonCanEjectANodeAndKeepItIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2))
		p.traffic(100, time.Second)
		control := p.breaker(a).(breaker.Controller)

		control.SetModeFor(breaker.ForceOpen, time.Minute)
		p.traffic(100, 100*time.Millisecond) // the next call to it notices
		called, failed := p.traffic(100, 50*time.Second)
		require.Zero(t, failed)
		require.Zero(t, called[a])
		p.traffic(100, 10*time.Second)
		called, _ = p.traffic(100, 10*time.Second)
		require.InDelta(t, 500, called[a], 10)

		for _, m := range []breaker.Mode{breaker.ForceClosed, breaker.DryRun} {
			p.kill(a)
			control.SetMode(m)
			p.traffic(100, 5*time.Second)
			called, _ = p.traffic(100, 5*time.Second)
			require.InDelta(t, 250, called[a], 10, m)
			require.Equal(t, breaker.Open, p.breaker(a).Snapshot().State)
			control.SetMode(breaker.Auto)
			p.traffic(100, time.Second)
			require.True(t, p.ejected(a))

			control.SetMode(m)
			p.until(100, 2*time.Second, func() bool { return !p.ejected(a) })
			p.heal(a)
			control.SetMode(breaker.Auto)
			p.traffic(100, 5*time.Second)
			require.False(t, p.ejected(a))
		}
	})
}

func TestClient_NilValuesHaveClearErrors(t *testing.T) {
	call := selector.NewNodes().Client()
	require.PanicsWithValue(t, "selector: the handler is nil", func() { call(nil) })
	_, err := call(chooses(a, nil, nil))(nil, nil)
	require.EqualError(t, err, "selector: the context is nil")
}

// A call that never left the process says nothing of the node that it was meant for.
func TestClient_TwentyCallsThatAreNotSentLoseNoProbeOfTheirNode(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithDelay(time.Hour))
	p := newPool(t, nodesOf(1), selector.WithCircuitBreaker(func() *circuit.Breaker { return b }))
	require.NoError(t, p.try())
	before := b.Snapshot().Totals
	b.HalfOpen()
	p.set(breaker.NotSent(errDown), []string{a})
	for range 20 {
		require.ErrorIs(t, p.try(), errDown)
	}
	require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
	require.Equal(t, before.Ignored+20, b.Snapshot().Totals.Ignored)
	p.kill(a)
	require.ErrorIs(t, p.try(), errDown)
	require.Equal(t, breaker.Open, b.Snapshot().State, "the next call is the probe")
}
