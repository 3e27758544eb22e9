package law_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/sre/internal/law"
)

func anyClassic(t *rapid.T) law.Classic {
	return law.Classic{
		K:        1 / rapid.SampledFrom([]float64{1, 0.999, 0.9, 0.6, 0.5, 0.3, 0.01}).Draw(t, "success ratio"),
		Request:  rapid.SampledFrom([]int64{1, 2, 10, 100, 1e9}).Draw(t, "request"),
		Unmarked: rapid.Bool().Draw(t, "unmarked"),
	}
}

func anyCounts(t *rapid.T) ledger.Counts {
	count := rapid.Uint64Range(0, 500)
	return ledger.Counts{Success: count.Draw(t, "success"), Failure: count.Draw(t, "failure"), Rejected: count.Draw(t, "rejected")}
}

func TestClassic_RejectsAsTheBookSays(t *testing.T) {
	f := law.Classic{K: 5.0 / 3, Request: 100}
	for _, c := range []struct {
		ledger.Counts
		want float64
	}{
		{ledger.Counts{}, 0},
		{ledger.Counts{Failure: 99}, 0},
		{ledger.Counts{Failure: 100}, 100.0 / 101},
		{ledger.Counts{Failure: 50, Rejected: 50}, 100.0 / 101},
		{ledger.Counts{Success: 60, Failure: 40}, 0},
		{ledger.Counts{Success: 60, Failure: 45}, 5.0 / 106},
		{ledger.Counts{Success: 60, Rejected: 45}, 5.0 / 106},
		{ledger.Counts{Success: 60, Failure: 39}, 0},
	} {
		require.InDelta(t, c.want, f.RejectRatio(c.Counts), 1e-12, "%+v", c.Counts)
	}
}

func TestClassic_RejectionsThatNobodyMarksAreNoneOfTheRequests(t *testing.T) {
	c := ledger.Counts{Success: 60, Failure: 45, Rejected: 1000}
	marked, unmarked := law.Classic{K: 5.0 / 3, Request: 100}, law.Classic{K: 5.0 / 3, Request: 100, Unmarked: true}
	require.EqualValues(t, 1105, marked.Total(c))
	require.EqualValues(t, 105, unmarked.Total(c))
	require.InDelta(t, 5.0/106, unmarked.RejectRatio(c), 1e-12)
	require.Greater(t, marked.RejectRatio(c), 0.9)
}

func TestClassic_ARatioIsAProbabilityBelow1(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyClassic(t).RejectRatio(anyCounts(t))
		require.True(t, p >= 0 && p < 1, "%v", p)
	})
}

func TestClassic_NothingIsRejectedWithinTheHeadroomWhateverElseSucceeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, c := anyClassic(t), anyCounts(t)
		room := math.Ceil(f.Headroom(c)*(1-1e-9)) - 1
		if room < 0 {
			t.Skip("there is none")
		}
		c.Success += rapid.Uint64Range(0, 1000).Draw(t, "successes meanwhile")
		c.Failure += uint64(min(room, rapid.Float64Range(0, 1e4).Draw(t, "failures meanwhile")))
		require.Zero(t, f.RejectRatio(c), "%+v", c)
	})
}
