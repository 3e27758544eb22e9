package rule

import "math"

// Fraction is a ratio that counts are compared with exactly.
type Fraction struct{ Num, Den uint64 }

// reached reports whether part of whole is at least f.
func (f Fraction) reached(part, whole uint64) bool { return part*f.Den >= f.Num*whole }

// missing returns how much must be added to part, at least, to reach f of whole; with
// both, it is added to whole as well.
func (f Fraction) missing(part, whole uint64, both bool) uint64 {
	if f.reached(part, whole) {
		return 0
	}
	each := f.Den
	if both {
		each -= f.Num
	}
	if each == 0 {
		return math.MaxUint64 // the rest of whole is in the way
	}
	return (f.Num*whole - part*f.Den + each - 1) / each
}

// FractionOf returns the simplest Fraction that ratio can mean: the one with
// the smallest denominator within a billionth of it. So 0.07 means 7 of 100 and
// 2.0/3 means 2 of 3, neither of which a float64 can be. The ratio is in
// [0.000001, 1].
//
// The fractions are walked in the Stern-Brocot tree, see Graham, Knuth and
// Patashnik, Concrete Mathematics, section 4.5. A step goes as far to one side
// as it can, so there are few: the denominator at least doubles with two steps,
// and stays below 1e9. Products with counts below 1e10 fit into a uint64.
func FractionOf(ratio float64) Fraction {
	tolerance := ratio * 1e-9
	below := func(f Fraction) bool { return ratio-f.float() > tolerance }
	above := func(f Fraction) bool { return f.float()-ratio > tolerance }
	// The ratio lies between low and high; their mediant comes next.
	low, high := Fraction{0, 1}, Fraction{1, 1}
	for above(high) {
		low = low.towards(high, below)
		high = high.towards(low, above)
		if m := low.mediant(high, 1); !below(m) && !above(m) {
			return m
		}
	}
	return high
}

func (f Fraction) float() float64 { return float64(f.Num) / float64(f.Den) }

func (f Fraction) mediant(g Fraction, times uint64) Fraction {
	return Fraction{f.Num + g.Num*times, f.Den + g.Den*times}
}

// towards returns the last of f, f+g, f+2g, … for which short holds.
func (f Fraction) towards(g Fraction, short func(Fraction) bool) Fraction {
	step := uint64(1)
	for short(f.mediant(g, step)) {
		step *= 2
	}
	for ; step > 0; step /= 2 {
		if next := f.mediant(g, step); short(next) {
			f = next
		}
	}
	return f
}
