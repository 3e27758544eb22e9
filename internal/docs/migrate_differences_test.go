package docs_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// migrateDifferences hold what each row with an id says of this module.
func migrateDifferences() map[string]func(*testing.T) {
	all := map[string]func(*testing.T){"V-05": migrateMarkedRejection}
	maps.Copy(all, migrateFromGobreaker)
	maps.Copy(all, migrateFromFailsafe)
	maps.Copy(all, migrateFromMist)
	return all
}

var errMigrate = errors.New("down")

// migrateTake takes n permits.
func migrateTake(t *testing.T, b breaker.Acquirer, n int) (permits []breaker.Permit) {
	t.Helper()
	for range n {
		p, err := b.Acquire()
		require.NoError(t, err)
		permits = append(permits, p)
	}
	return permits
}

// migrateEnd makes calls that end so.
func migrateEnd(t *testing.T, b breaker.Acquirer, outcomes ...breaker.Outcome) {
	t.Helper()
	for i, p := range migrateTake(t, b, len(outcomes)) {
		p.Done(outcomes[i])
	}
}

// migrateFail makes n calls that fail.
func migrateFail(t *testing.T, b breaker.Acquirer, n int) {
	t.Helper()
	for range n {
		migrateEnd(t, b, breaker.Failure)
	}
}

// migrateRejection requires the next call to be rejected.
func migrateRejection(t *testing.T, b breaker.Acquirer) *breaker.RejectedError {
	t.Helper()
	_, err := b.Acquire()
	var rejected *breaker.RejectedError
	require.ErrorAs(t, err, &rejected)
	return rejected
}

// migrateDefaults requires 5 failures in a row, 30 s and one probe.
func migrateDefaults(t *testing.T) {
	b := circuit.NewBreaker()
	migrateFail(t, b, 4)
	migrateEnd(t, b, breaker.Success)
	migrateFail(t, b, 4)
	require.Equal(t, breaker.Closed, b.Snapshot().State)
	migrateFail(t, b, 1)
	require.Equal(t, breaker.Open, b.Snapshot().State)
	require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter)
	b.HalfOpen()
	probe := migrateTake(t, b, 1)[0]
	require.Equal(t, breaker.ReasonProbeLimit, migrateRejection(t, b).Reason())
	probe.Done(breaker.Success)
	require.Equal(t, breaker.Closed, b.Snapshot().State)
}

func migrateMarkedRejection(t *testing.T) {
	b := circuit.NewBreaker()
	b.HalfOpen()
	require.NoError(t, b.Allow())
	require.Error(t, b.Allow())
	b.MarkFailed() // the rejection
	require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
	require.Zero(t, b.Snapshot().Totals.Failure)
	b.MarkSuccess() // the probe
	require.Equal(t, breaker.Closed, b.Snapshot().State)
}
