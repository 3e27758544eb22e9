package scoreboard

import (
	"fmt"
	"math"
	"time"
)

// kindOf is the family of a distribution.
type kindOf uint8

const (
	constantly kindOf = iota
	halfFixed         // half of the mean is fixed, half exponential
	lognormal
	pareto
)

// distribution is one of times. Its zero value is always 0.
type distribution struct {
	kind  kindOf
	scale time.Duration // the constant, the mean, the median, or the least
	form  float64       // σ of the logarithm, or α
}

func always(d time.Duration) distribution { return distribution{constantly, d, 0} }
func around(mean time.Duration) distribution {
	return distribution{halfFixed, mean, 0}
}

func lognormally(median time.Duration, sigma float64) distribution {
	return distribution{lognormal, median, sigma}
}

func paretoFrom(least time.Duration, alpha float64) distribution {
	return distribution{pareto, least, alpha}
}

// longest bounds what the long tails can give.
const longest = 10 * time.Minute

func (d distribution) draw(f fate, question uint64) time.Duration {
	x := 1.0
	switch d.kind {
	case halfFixed:
		x = 0.5 + 0.5*f.exponential(question)
	case lognormal:
		x = math.Exp(d.form * f.normal(question))
	case pareto:
		x = math.Pow(f.uniform(question), -1/d.form)
	case constantly:
	}
	return time.Duration(min(x*float64(d.scale), float64(longest)))
}

// typical is the median.
func (d distribution) typical() time.Duration {
	switch d.kind {
	case halfFixed:
		return time.Duration((0.5 + 0.5*math.Ln2) * float64(d.scale))
	case pareto:
		return time.Duration(math.Pow(2, 1/d.form) * float64(d.scale))
	case constantly, lognormal:
	}
	return d.scale
}

func (d distribution) String() string {
	switch d.kind {
	case halfFixed:
		return fmt.Sprintf("~%v", d.scale)
	case lognormal:
		return fmt.Sprintf("lognormal(%v, σ %.2g)", d.scale, d.form)
	case pareto:
		return fmt.Sprintf("Pareto(%v, α %.2g)", d.scale, d.form)
	case constantly:
	}
	return d.scale.String()
}
