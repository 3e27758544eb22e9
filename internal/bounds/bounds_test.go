package bounds_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

func TestOf_HasWhatItsTextSays(t *testing.T) {
	closed := &bounds.Of[float64]{Option: "x.WithShare", Unit: "a share", Low: 0.000001, High: 1, Default: 0.5}
	require.Equal(t, "a share in [0.000001, 1]", closed.Want())
	require.Equal(t, "0.5", closed.ByDefault())
	for v, want := range map[float64]bool{1e-6: true, 1: true, math.Nextafter(1, 2): false, 9e-7: false, 0: false, math.NaN(): false, math.Inf(1): false} {
		require.Equal(t, want, closed.Has(v), v)
	}
	open := &bounds.Of[time.Duration]{High: 24 * time.Hour, Above: true, Otherwise: "never"}
	require.Equal(t, "(0, 24h]", open.Range())
	require.Equal(t, "never", open.ByDefault())
	require.False(t, open.Has(0))
	require.True(t, open.Has(1))
	require.True(t, open.From(0).Has(0), "another end is inside")
	require.Equal(t, "[1m, 24h]", open.From(time.Minute).Range())
	whole := &bounds.Of[time.Duration]{Low: 0, High: time.Second, Multiple: time.Millisecond, Default: time.Second, Otherwise: ", or 2"}
	require.Equal(t, "[0, 1s]", whole.Range())
	require.Equal(t, "1s, or 2", whole.ByDefault())
	require.True(t, whole.Has(3*time.Millisecond))
	require.False(t, whole.Has(3*time.Millisecond+1))
	count := &bounds.Of[int64]{Option: "transport/x.WithCount", Unit: "a number", Low: 1, High: 7}
	require.Equal(t, "[1, 3]", count.UpTo(3).Range())
	require.Equal(t, "[1, 7]", count.Range(), "it is as before")
	require.NotPanics(t, func() { count.Must(7) })
	require.PanicsWithValue(t, "transport/x: WithCount(8): want a number in [1, 7]", func() { count.Must(8) })
}

func TestBrief_LeavesOutZerosAtTheEnd(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", time.Hour: "1h", 90 * time.Minute: "1h30m", time.Minute: "1m", 61 * time.Second: "1m1s", 10 * time.Second: "10s", time.Microsecond: "1µs",
	} {
		require.Equal(t, want, bounds.Brief(d))
	}
}

// The rules across options leave of a range what the constructors take: the tests
// of packages sre, circuit and config try them.
func TestAcross_LeavesWhatTheOtherOptionsAllow(t *testing.T) {
	require.Equal(t, "[1, 10]", bounds.BucketOf(10*time.Microsecond+999).Range())
	require.Equal(t, "[1, 100000]", bounds.BucketOf(24*time.Hour).Range())
	require.Equal(t, "[1, 5]", bounds.FailuresAmong(5).Range())
	require.Equal(t, "[1, 5]", bounds.SuccessesAmong(5).Range())
	require.Equal(t, "[1, 5]", bounds.ProbeLimitAmong(5).Range())
	require.Equal(t, "[1, 3]", bounds.ProbeFailuresAmong(3, 5).Range())
	require.Equal(t, "[1m, 24h]", bounds.LongestFrom(time.Minute).Range())
}

func TestAll_SaysWhatEachIsAndNothingTwice(t *testing.T) {
	said := make(map[string]bool)
	for _, b := range bounds.All() {
		option, what := b.Describe()
		require.Contains(t, option, ".")
		require.NotEmpty(t, what, option)
		require.NotEmpty(t, b.ByDefault(), option)
		require.Equal(t, strings.TrimSpace(what), what)
		about := fmt.Sprint(option, ": ", what)
		require.False(t, said[about], about)
		said[about] = true
	}
}
