package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// InvalidError says why rules are not valid: all that is wrong, at once.
type InvalidError struct {
	// Fields are the faults, in the order of the fields.
	Fields []*FieldError
}

// Error returns a line for each fault.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults.
func (e *InvalidError) Unwrap() []error {
	errs := make([]error, len(e.Fields))
	for i, f := range e.Fields {
		errs[i] = f
	}
	return errs
}

// FieldError is one fault.
type FieldError struct {
	// Path says where: rules[2].sre.success. It is "" for the whole.
	Path string
	// Value is what is there, as it was read; nil if nothing is.
	Value any
	// Problem says what is wrong with it, and what there should be.
	Problem string
}

// Error returns one line, as in "rules[2].sre.success: 1.5, want a number in
// [0.000001, 1]".
func (e *FieldError) Error() string {
	var parts []string
	if e.Value != nil {
		parts = append(parts, show(e.Value))
	}
	text := strings.Join(append(parts, e.Problem), ", ")
	if e.Path == "" {
		return text
	}
	return e.Path + ": " + text
}

// show returns a value as one would write it, shortened.
func show(v any) string {
	text := ""
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case time.Duration:
		text = brief(v)
	case string:
		text = fmt.Sprintf("%q", v)
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	default:
		text = fmt.Sprint(v)
	}
	if short := []rune(text); len(short) > 60 {
		text = string(short[:60]) + "…"
	}
	return text
}

// nearest returns the name that somebody may have meant, or "".
func nearest(word string, names []string) string {
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	if len(word) > 64 {
		return ""
	}
	best, least := "", len(word)
	for _, name := range names {
		if d := distance(plain(word), plain(name)); d < least && 3*d <= len(name) {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of bytes to insert, to remove or to change that make b
// of a; two neighbours that swapped places are one.
func distance(a, b string) int {
	last, now := make([]int, len(b)+1), make([]int, len(b)+1)
	var before []int
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		now[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			now[j+1] = min(change, last[j+1]+1, now[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				now[j+1] = min(now[j+1], before[j-1]+1)
			}
		}
		before, last, now = last, now, slices.Clone(last)
	}
	return last[len(b)]
}

func quoted(names []string) string {
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// fieldName shows a name that somebody else chose.
func fieldName(name string) string {
	if name == "" || len(name) > 60 || strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return show(name)
	}
	return name
}
