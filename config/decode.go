package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// faults collects what is wrong.
type faults struct{ fields []*FieldError }

func (f *faults) add(path string, value any, problem string, args ...any) {
	if s, ok := value.([]byte); ok {
		value = string(s)
	}
	f.fields = append(f.fields, &FieldError{Path: path, Value: value, Problem: fmt.Sprintf(problem, args...)})
}

// object reads the fields of an object. Each may be asked for once; done reports
// those that nobody asked for. A null is as good as nothing.
type object struct {
	*faults
	path   string
	fields map[string]any
	known  []string
}

// objectAt returns v as an object, and false if it is none.
func objectAt(f *faults, path string, v any) (*object, bool) {
	fields, ok := fieldsOf(v)
	if !ok {
		f.add(path, v, "want an object with fields")
		return nil, false
	}
	return &object{faults: f, path: path, fields: fields}, true
}

// fieldsOf returns the fields of an object. In YAML, keys need not be strings.
func fieldsOf(v any) (map[string]any, bool) {
	fields, ok := v.(map[string]any)
	if m, other := v.(map[any]any); other {
		fields, ok = make(map[string]any, len(m)), true
		for k, v := range m {
			fields[fmt.Sprint(k)] = v
		}
	}
	return fields, ok
}

func (o *object) at(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

func (o *object) take(name string) (any, bool) {
	o.known = append(o.known, name)
	v := o.fields[name]
	return v, v != nil
}

// done reports the fields that are not known.
func (o *object) done() {
	for _, name := range slices.Sorted(maps.Keys(o.fields)) {
		if slices.Contains(o.known, name) {
			continue
		}
		problem := "unknown field"
		if meant := nearest(name, o.known); meant != "" {
			problem += fmt.Sprintf(", did you mean %q?", meant)
		}
		o.add(o.at(fieldName(name)), nil, "%s", problem)
	}
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

// child returns the object in a field, or nil if there is none.
func (o *object) child(name string) *object {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	c, ok := objectAt(o.faults, o.at(name), v)
	if !ok {
		return nil
	}
	return c
}

// list returns the elements in a field, or nil if there is none.
func (o *object) list(name string) []any {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		o.add(o.at(name), v, "want a list")
		return nil
	}
	return append([]any{}, list...)
}

// number returns the number in a field, which is in [low, high].
func (o *object) number(name string, low, high float64) *float64 {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	n, ok := toFloat(v)
	if !ok || math.IsNaN(n) || n < low || n > high {
		o.add(o.at(name), v, "want a number in [%s, %s]", plain(low), plain(high))
		return nil
	}
	return &n
}

// count returns the whole number in a field, which is in [low, high].
func (o *object) count(name string, low, high int64) *int64 {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	n, ok := toInt(v)
	if !ok || n < low || n > high {
		o.add(o.at(name), v, "want a whole number in [%d, %d]", low, high)
		return nil
	}
	return &n
}

// duration returns the duration in a field, which is in [low, high]. If low is
// 1ns, the text is that of an open range.
func (o *object) duration(name string, low, high time.Duration) *span {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	d, ok := toDuration(v)
	if !ok || d < low || d > high {
		from := "[" + brief(low)
		if low == 1 {
			from = "(0"
		}
		o.add(o.at(name), v, `want a duration in %s, %s], as "1.5s"`, from, brief(high))
		return nil
	}
	return (*span)(&d)
}

// flag returns the bool in a field.
func (o *object) flag(name string) *bool {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	for _, b := range []bool{false, true} {
		if v == any(b) || v == any(strconv.FormatBool(b)) {
			return &b
		}
	}
	o.add(o.at(name), v, "want true or false")
	return nil
}

// word returns the word in a field, which is one of some.
func (o *object) word(name string, words ...string) *string {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	s, ok := toText(v)
	if !ok || !slices.Contains(words, s) {
		problem := "want " + quoted(words)
		if meant := nearest(s, words); ok && meant != "" {
			problem += fmt.Sprintf("; did you mean %q?", meant)
		}
		if v == any(false) && slices.Contains(words, "off") {
			problem += `; did you mean "off", in quotes?` // to YAML 1.1 it is false without
		}
		o.add(o.at(name), v, "%s", problem)
		return nil
	}
	return &s
}

func toText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte: // a source of Kratos that has no format
		return string(v), true
	}
	return "", false
}

// toFloat returns a number, also one that a placeholder or a variable of the
// environment made a text of. One that is too large is infinite.
func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case json.Number:
		n, err := strconv.ParseFloat(v.String(), 64)
		return n, err == nil || math.IsInf(n, 0)
	}
	s, ok := toText(v)
	n, err := strconv.ParseFloat(s, 64)
	return n, ok && err == nil
}

// toInt returns a whole number that an int64 can be.
func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64
	}
	s, ok := toText(v)
	if n, isNumber := v.(json.Number); isNumber {
		s, ok = n.String(), true
	}
	if n, err := strconv.ParseInt(s, 10, 64); ok && err == nil {
		return n, true
	}
	// 1e6 and 20.0 are whole, too.
	n, ok := toFloat(v)
	return int64(n), ok && n == math.Trunc(n) && math.Abs(n) < 1<<53
}

func toDuration(v any) (time.Duration, bool) {
	if d, ok := v.(time.Duration); ok {
		return d, true
	}
	if n, ok := toInt(v); ok && n == 0 {
		return 0, true
	}
	s, ok := toText(v)
	d, err := time.ParseDuration(s)
	return d, ok && err == nil
}

// plain writes a number without an exponent.
func plain(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// brief writes a duration without zeros at its end: 24h and not 24h0m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// span is a duration that is written as text.
type span time.Duration

// MarshalText returns the text of the duration.
func (s span) MarshalText() ([]byte, error) { return []byte(brief(time.Duration(s))), nil }
