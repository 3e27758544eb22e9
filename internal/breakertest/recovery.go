package breakertest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// recovery are the checks that an outage of the backend does not become one of
// the breaker.
func (k Kind) recovery(in in) {
	in("it opens in an outage, and recovers after it", func(t *testing.T) {
		b := k.New("")
		rejected := 0
		for range 5 * time.Second / pace {
			if !call(b, breaker.Failure) {
				rejected++
			}
			time.Sleep(pace)
		}
		require.NotZero(t, rejected)
		k.recover(t, b, func() bool { return call(b, breaker.Success) })
		s := b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.Zero(t, s.RejectRatio)
		require.Zero(t, s.Openings)
	})

	in("it recovers after a long silence", func(t *testing.T) {
		b := k.tripped()
		time.Sleep(24 * time.Hour)
		k.recover(t, b, func() bool { return call(b, breaker.Success) })
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	})

	in("it opens and recovers behind Kratos' own middleware", k.behindKratos)
}

// behindKratos makes calls that overlap, so that there are rejections, each
// followed by a MarkFailed, while a probe is in flight.
func (k Kind) behindKratos(t *testing.T) {
	b := k.New("")
	var success, failure, rejected atomic.Uint64
	var healthy atomic.Bool
	guarded := kratoscb.Client(kratoscb.WithCircuitBreaker(func() circuitbreaker.CircuitBreaker { return b }))(
		func(context.Context, any) (any, error) {
			time.Sleep(5 * pace / 2)
			if healthy.Load() {
				success.Add(1)
				return nil, nil
			}
			failure.Add(1)
			return nil, kratoserrors.ServiceUnavailable("DOWN", "")
		})
	ctx := ClientContext(context.Background(), "/users.v1.Users/Get")
	var calls sync.WaitGroup
	t.Cleanup(calls.Wait)
	call := func() (allowed bool) {
		before := rejected.Load()
		calls.Go(func() {
			if _, err := guarded(ctx, nil); err == error(kratoscb.ErrNotAllowed) { //nolint:errorlint // it is that very one
				rejected.Add(1)
			}
		})
		synctest.Wait() // until it was rejected or is on its way
		return rejected.Load() == before
	}
	requireCounted := func() {
		calls.Wait()
		RequireTotals(t, b, breaker.Totals{
			Success: success.Load(), Failure: failure.Load(), Rejected: rejected.Load(),
		})
	}
	for range 2 {
		healthy.Store(false)
		before := rejected.Load()
		for range 5 * time.Second / pace {
			call()
			time.Sleep(pace)
		}
		requireCounted()
		require.Greater(t, rejected.Load(), before)
		healthy.Store(true)
		k.recover(t, b, call)
		requireCounted()
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	}
}
