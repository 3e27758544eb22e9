// Package fault looks into errors and contexts for whose fault the end of a call
// is. Errors are made by anybody: nothing that their methods do makes it panic,
// and nothing that they wrap makes it run for long.
package fault

import (
	"fmt"
	"io"
	"reflect"
)

// Verdict is what an error says. Of several, the greatest counts.
type Verdict uint8

const (
	// Unknown is for what nobody recognises.
	Unknown Verdict = iota
	// Ignored says nothing about the backend.
	Ignored
	// Success says that the backend did its work.
	Success
	// Failure says that it did not.
	Failure
)

// Looker says what one error says.
type Looker interface {
	// Look returns what err says by itself. If that does not settle it, what err
	// wraps is asked, and the verdict counts if none of that is known.
	Look(err error) (v Verdict, settled bool)
}

const (
	maxDepth  = 100  // of errors that wrap each other
	maxErrors = 1000 // in all: shared ones come once for each way to them
)

// Of returns what err says, in the eyes of l. Beyond a depth of 100 and 1000
// errors it is a failure, and so is what panics.
func Of(err error, l Looker) Verdict {
	if v, settled := look(err, l); settled {
		return v // nearly always
	}
	w := walk{looker: l, left: maxErrors}
	return w.of(err, 0)
}

type walk struct {
	looker Looker
	left   int
}

func (w *walk) of(err error, depth int) Verdict {
	best := Unknown // of the errors around, if nothing in them is known
	for ; err != nil; depth++ {
		if w.left--; w.left < 0 || depth > maxDepth {
			return Failure
		}
		v, settled := look(err, w.looker)
		switch {
		case settled && v == Unknown:
			return best
		case settled:
			return v
		}
		best = max(best, v)
		several, inner := unwrap(err)
		if several != nil {
			if v := w.ofSeveral(several, depth+1); v != Unknown {
				return v
			}
			return best
		}
		if (inner == nil || hasText(err)) && turnedDown(text(err)) {
			return Ignored
		}
		err = inner
	}
	return best
}

// ofSeveral stops at a failure, which nothing overrules.
func (w *walk) ofSeveral(errs []error, depth int) (best Verdict) {
	for _, err := range errs {
		if best = max(best, w.of(err, depth)); best == Failure {
			break
		}
	}
	return best
}

// look asks l about err.
func look(err error, l Looker) (v Verdict, settled bool) {
	defer func() {
		if recover() != nil {
			v, settled = Failure, true
		}
	}()
	return l.Look(err)
}

// Find calls f with err and all that it wraps, until f returns true, and reports
// whether it did. It looks into answers, too.
func Find(err error, f func(error) bool) bool {
	left := maxErrors
	return find(err, f, 0, &left)
}

func find(err error, f func(error) bool, depth int, left *int) bool {
	for ; err != nil && depth <= maxDepth; depth++ {
		if *left--; *left < 0 {
			return false
		}
		if ask(err, f) {
			return true
		}
		several, inner := unwrap(err)
		for _, e := range several {
			if find(e, f, depth+1, left) {
				return true
			}
		}
		err = inner
	}
	return false
}

func ask(err error, f func(error) bool) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = false
		}
	}()
	return f(err)
}

// IsNil reports whether err is a nil pointer, the methods of which may panic.
func IsNil(err error) bool {
	v := reflect.ValueOf(err)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// unwrap returns what err wraps: one error, or several, or nothing.
func unwrap(err error) (several []error, one error) {
	defer func() {
		if recover() != nil {
			several, one = nil, nil
		}
	}()
	if IsNil(err) {
		return nil, nil
	}
	switch e := err.(type) { //nolint:errorlint // this is what the others are made of
	case interface{ Unwrap() error }:
		return nil, e.Unwrap()
	case interface{ Unwrap() []error }:
		return e.Unwrap(), nil
	}
	return nil, nil
}

var wrapping = reflect.TypeOf(fmt.Errorf("%w", io.EOF))

// hasText reports whether err, which wraps another, is made by fmt.Errorf, as those of
// net/http are. It has its text; that of others may take long to make.
func hasText(err error) bool { return reflect.TypeOf(err) == wrapping }

// text returns the text of err, or "" if it has none.
func text(err error) (s string) {
	defer func() {
		if recover() != nil {
			s = ""
		}
	}()
	if IsNil(err) {
		return ""
	}
	return err.Error()
}
