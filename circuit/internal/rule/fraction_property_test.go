package rule

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

func TestFraction_OfASmallQuotientIsTheQuotient(t *testing.T) {
	for q := uint64(1); q <= 300; q++ {
		for p := uint64(1); p <= q; p++ {
			want := Fraction{p / gcd(p, q), q / gcd(p, q)}
			if got := FractionOf(float64(p) / float64(q)); got != want {
				require.Equal(t, want, got, "%d of %d", p, q)
			}
		}
	}
}

func TestFraction_OfWhatAFloatCannotBe(t *testing.T) {
	for ratio, want := range map[float64]Fraction{
		0.07:                   {7, 100},
		0.29:                   {29, 100},
		0.001:                  {1, 1000},
		0.9999:                 {9999, 10000},
		0.1 + 0.2:              {3, 10},
		0.333333333:            {1, 3},
		1.0 / 3:                {1, 3},
		2.0 / 3:                {2, 3},
		1:                      {1, 1},
		math.Nextafter(1, 0):   {1, 1},
		math.Nextafter(0.5, 0): {1, 2},
		math.Nextafter(0.5, 1): {1, 2},
	} {
		require.Equal(t, want, FractionOf(ratio), "%v", ratio)
	}
}

// A tolerance of 1e-9 would be a thousandth of the smallest ratio.
func TestFraction_OfTheSmallestRatiosIsWhatWasWritten(t *testing.T) {
	for den := uint64(1000); den <= 1_000_000; den *= 10 {
		for _, num := range []uint64{1, 3, 7} {
			require.Equal(t, Fraction{num, den}, FractionOf(float64(num)/float64(den)))
		}
	}
}

// TestFraction_IsTheSimplestWithinTheTolerance tries every smaller denominator.
func TestFraction_IsTheSimplestWithinTheTolerance(t *testing.T) {
	const rounding = 1e-15
	rapid.Check(t, func(t *rapid.T) {
		ratio := rapid.OneOf(
			rapid.Float64Range(0.01, 1),
			rapid.SampledFrom([]float64{math.Pi / 4, math.Sqrt2 / 2, math.E / 3, math.Phi - 1}),
		).Draw(t, "ratio")
		tolerance := ratio * 1e-9
		f := FractionOf(ratio)
		require.InDelta(t, ratio, f.float(), 1e-9+rounding)
		require.EqualValues(t, 1, gcd(f.Num, f.Den))
		for den := uint64(1); den < f.Den; den++ {
			near := math.Round(ratio*float64(den)) / float64(den)
			if math.Abs(near-ratio) < tolerance-rounding && near > 0 {
				t.Fatalf("%v of %v is simpler than %+v", near*float64(den), den, f)
			}
		}
	})
}

// TestFraction_IsFoundInFewSteps would not end in time if a step went only from
// one fraction to the next, or never, if rounding let two comparisons with the
// edge of the tolerance differ: 0.499999999 is such an edge.
func TestFraction_IsFoundInFewSteps(t *testing.T) {
	found := make(chan uint64, 1)
	go func() {
		most := uint64(0)
		for _, ratio := range []float64{
			1e-6, math.Nextafter(1e-6, 1), 1e-6 * (1 + 2e-9), 1 - 1e-6, 1 - 1e-9, 1 - 2e-9, math.Pi / 4,
			0.499999999, 0.5 + 1e-9, 0.5 + 2e-9, 0.333333332, 0.2 + 1e-9,
		} {
			for range 1000 {
				most = max(most, FractionOf(ratio).Den)
				ratio = math.Nextafter(ratio, 0.4)
			}
		}
		found <- most
	}()
	select {
	case most := <-found:
		require.LessOrEqual(t, most, uint64(1e9), "times 1e10 calls, there is no overflow")
	case <-time.After(20 * time.Second):
		t.Fatal("no end in sight")
	}
}

func TestFraction_IsReachedAsAnExactRational(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.Int64Range(1, 10_000).Draw(t, "q")
		p := rapid.Int64Range(1, q).Draw(t, "p")
		whole := rapid.Int64Range(1, 1_000_000_000).Draw(t, "whole")
		// Most of all around the ratio.
		edge := whole * p / q
		part := min(whole, max(0, edge+rapid.Int64Range(-1, 1).Draw(t, "off by")))
		want := big.NewRat(part, whole).Cmp(big.NewRat(p, q)) >= 0
		require.Equal(t, want, FractionOf(float64(p)/float64(q)).reached(uint64(part), uint64(whole)))
	})
}
