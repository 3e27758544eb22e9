// Package bounds holds what each option takes: its unit, range, default and one
// sentence about it. Constructors check against it, package config checks rules
// against it, and tests compare the documents and the doc comments with it. So a
// range is changed here and nowhere else.
package bounds

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Number is the type of a value that has a range.
type Number interface {
	float64 | int64 | time.Duration
}

// Of is what an argument of an option takes.
type Of[T Number] struct {
	// Option is the name with its package: sre.WithSuccess.
	Option string
	// What says what the number is.
	What string
	// Unit is what an error wants: a ratio.
	Unit string
	// Low and High are the ends of the range. With Above, Low itself is outside.
	Low, High T
	Above     bool
	// Multiple is what a duration must be a multiple of; 0 if any will do.
	Multiple time.Duration
	// Default is the default, and Otherwise what else there is to say about it. If
	// there is something to say and Default is 0, there is no default.
	Default   T
	Otherwise string
}

// Bound is an [Of] of any type.
type Bound interface {
	// Describe returns the name of the option, and the sentence about its argument.
	Describe() (option, what string)
	// Range returns the range: [1µs, 24h].
	Range() string
	// ByDefault returns the default.
	ByDefault() string
}

var all []Bound

// All returns all bounds.
func All() []Bound { return slices.Clone(all) }

func add[T Number](b Of[T]) *Of[T] {
	all = append(all, &b)
	return &b
}

// Has reports whether v is in the range.
func (b *Of[T]) Has(v T) bool {
	if d, ok := any(v).(time.Duration); ok && b.Multiple > 0 && d%b.Multiple != 0 {
		return false
	}
	return v >= b.Low && v <= b.High && (v > b.Low || !b.Above) // NaN is not
}

// Must panics if v, the only argument of the option, is out of its range.
func (b *Of[T]) Must(v T) {
	if b.Has(v) {
		return
	}
	pkg, name, _ := strings.Cut(b.Option, ".")
	panic(fmt.Sprintf("%s: %s(%v): want %s", pkg, name, v, b.Want()))
}

// Want returns what an error says: a duration in [1µs, 24h].
func (b *Of[T]) Want() string { return b.Unit + " in " + b.Range() }

// From returns b with another lower end.
func (b *Of[T]) From(low T) *Of[T] {
	narrow := *b
	narrow.Low, narrow.Above = low, false
	return &narrow
}

// UpTo returns b with another upper end.
func (b *Of[T]) UpTo(high T) *Of[T] {
	narrow := *b
	narrow.High = high
	return &narrow
}

// Describe implements [Bound].
func (b *Of[T]) Describe() (option, what string) { return b.Option, b.What }

// Range implements [Bound].
func (b *Of[T]) Range() string {
	open := "["
	if b.Above {
		open = "("
	}
	return open + text(b.Low) + ", " + text(b.High) + "]"
}

// ByDefault implements [Bound].
func (b *Of[T]) ByDefault() string {
	if b.Otherwise != "" && b.Default == 0 {
		return b.Otherwise
	}
	return text(b.Default) + b.Otherwise
}

func text[T Number](v T) string {
	switch v := any(v).(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Duration:
		return Brief(v)
	}
	return fmt.Sprint(v)
}

// Brief returns a duration without zeros at its end: 24h and not 24h0m0s. That of
// none is 0.
func Brief(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
