package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/sre"
)

// field is a row of the table: all that there is to know about a field of the
// rules. Reading, comparing, checking and applying rules walk the table, and the
// tests go from it to the documents and to the protobuf message.
type field struct {
	name string
	// what, values and byDefault are the row in docs/config.md.
	what, values, byDefault string
	// read returns a value, or what is wrong with it. An object has none.
	read   func(v any) (value any, problem string)
	fields []field // of an object
	list   bool    // whether it is a list, of values or of objects
	most   int     // so many elements of a list; 0 for any number
	// inherits says that the objects of a list are checked when they have inherited.
	inherits bool
	// missing is what is wrong with an object without it; "" if nothing is. With
	// late, that is known when the object has inherited what it does not say.
	missing string
	late    bool
	// across reports what in an object does not fit together.
	across func(v values, report report)
	// apply makes options of a value; an object without it is applied field by field.
	apply func(m *made, v any)
}

// report adds a fault of a field of an object.
type report func(name string, value any, problem string, args ...any)

// made are the options that rules are made into.
type made struct {
	sre     []sre.Option
	circuit []circuit.Option
	errors  []errors.Option
	group   []group.Option
}

func (m *made) add(option any) {
	switch o := option.(type) {
	case sre.Option:
		m.sre = append(m.sre, o)
	case circuit.Option:
		m.circuit = append(m.circuit, o)
	case errors.Option:
		m.errors = append(m.errors, o)
	case group.Option:
		m.group = append(m.group, o)
	}
}

// to applies a value by an option that takes it.
func to[V, O any](option func(V) O) func(*made, any) {
	return func(m *made, v any) { m.add(option(v.(V))) }
}

// toInt64 is an option that takes an int.
func toInt64[O any](option func(int) O) func(int64) O {
	return func(n int64) O { return option(int(n)) }
}

// each applies each value of a list by an option.
func each[V, O any](option func(V) O) func(*made, any) {
	return func(m *made, v any) {
		for _, e := range v.([]any) {
			m.add(option(e.(V)))
		}
	}
}

func number(name string, b *bounds.Of[float64], apply func(*made, any)) field {
	return bounded(name, b, "a number", "", toFloat, apply)
}

func whole(name string, b *bounds.Of[int64], apply func(*made, any)) field {
	return bounded(name, b, "a whole number", "", toInt, apply)
}

func duration(name string, b *bounds.Of[time.Duration], apply func(*made, any)) field {
	kind := "a duration"
	if b.Multiple > 0 {
		kind = b.Unit
	}
	return bounded(name, b, kind, `, as "1.5s"`, toDuration, apply)
}

func bounded[T bounds.Number](name string, b *bounds.Of[T], kind, example string, to func(any) (T, bool), apply func(*made, any)) field {
	_, what := b.Describe()
	f := field{name: name, what: what, values: b.Range(), byDefault: b.ByDefault(), apply: apply}
	f.read = reader("want "+kind+" in "+f.values+example, func(v any) (T, bool) {
		n, ok := to(v)
		return n, ok && b.Has(n)
	})
	return f
}

// reader returns a function that reads a value, or says what is wanted.
func reader[T any](want string, to func(any) (T, bool)) func(any) (any, string) {
	return func(v any) (any, string) {
		if x, ok := to(v); ok {
			return x, ""
		}
		return nil, want
	}
}

// flag is applied by an option without arguments, if it is true.
func flag[O any](name, what string, option func() O) field {
	return field{
		name: name, what: what, values: "true or false", byDefault: "false", read: reader("want true or false", toBool),
		apply: func(m *made, v any) {
			if v == true {
				m.add(option())
			}
		},
	}
}

// word is one of some words.
func word(name, what, byDefault string, words ...string) field {
	f := field{name: name, what: what, values: quoted(words), byDefault: byDefault}
	f.read = func(v any) (any, string) {
		s, ok := toText(v)
		if ok && slices.Contains(words, s) {
			return s, ""
		}
		problem := "want " + f.values
		if meant := nearest(s, words); ok && meant != "" {
			problem += fmt.Sprintf("; did you mean %q?", meant)
		}
		if v == any(false) && slices.Contains(words, "off") {
			problem += `; did you mean "off", in quotes?` // to YAML 1.1 it is false without
		}
		return nil, problem
	}
	return f
}

// element is a list of values.
func element[V, O any](name, what, values, want string, to func(any) (V, bool), option func(V) O) field {
	return field{
		name: name, what: what, values: values, byDefault: "-", list: true, read: reader("want "+want, to), apply: each(option),
	}
}

// needed are fields that an object must have, once it has inherited.
func needed(fields ...field) []field {
	for i := range fields {
		fields[i].missing, fields[i].late = missing, true
	}
	return fields
}

const missing = "missing"

// faults collects what is wrong.
type faults struct{ fields []*FieldError }

func (f *faults) add(path string, value any, problem string, args ...any) {
	if s, ok := value.([]byte); ok {
		value = string(s)
	}
	f.fields = append(f.fields, &FieldError{Path: path, Value: value, Problem: fmt.Sprintf(problem, args...)})
}

// object reads an object. A null in it is as good as nothing.
func (f *faults) object(path string, v any, fields []field) values {
	given, ok := fieldsOf(v)
	if !ok {
		f.add(path, orNull(v), "want an object with fields")
		return nil
	}
	vs := make(values)
	var known []string
	for i := range fields {
		row := &fields[i]
		known = append(known, row.name)
		switch v, at := given[row.name], join(path, row.name); {
		case v != nil:
			if x := f.value(at, v, row); x != nil {
				vs[row.name] = x
			}
		case row.missing != "" && !row.late:
			f.add(at, nil, "%s", row.missing)
		}
	}
	f.unknown(path, given, known)
	return vs
}

// value reads a field.
func (f *faults) value(path string, v any, row *field) any {
	if !row.list {
		return f.one(path, v, row)
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		f.add(path, v, "want a list")
		return nil
	case row.most > 0 && len(list) > row.most:
		f.add(path, v, "of %d %s, want at most %d", len(list), row.name, row.most)
		return nil
	}
	all := []any{}
	for i, v := range list {
		at, clean := fmt.Sprintf("%s[%d]", path, i), len(f.fields)
		e := f.one(at, v, row)
		if vs, ok := e.(values); ok && !row.inherits && len(f.fields) == clean {
			f.check(at, vs, row)
		}
		if e != nil || row.fields != nil {
			all = append(all, e)
		}
	}
	return all
}

// one reads a value that is no list.
func (f *faults) one(path string, v any, row *field) any {
	if row.read == nil {
		if vs := f.object(path, v, row.fields); vs != nil {
			return vs
		}
		return nil
	}
	x, problem := row.read(v)
	if problem != "" {
		f.add(path, orNull(v), "%s", problem)
		return nil
	}
	return x
}

// unknown reports the fields that there are not.
func (f *faults) unknown(path string, given map[string]any, known []string) {
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		problem := "unknown field"
		if meant := nearest(name, known); meant != "" {
			problem += fmt.Sprintf(", did you mean %q?", meant)
		}
		f.add(join(path, fieldName(name)), nil, "%s", problem)
	}
}

// check reports what in an object, with what it inherited, is missing or does not
// fit together. Single values have been checked.
func (f *faults) check(path string, vs values, object *field) {
	report := func(name string, value any, problem string, args ...any) {
		f.add(join(path, name), value, problem, args...)
	}
	for i := range object.fields {
		row := &object.fields[i]
		if vs[row.name] == nil && row.late {
			report(row.name, nil, "%s", row.missing)
		}
		if child, ok := vs[row.name].(values); ok {
			f.check(join(path, row.name), child, row)
		}
	}
	if object.across != nil {
		object.across(vs, report)
	}
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

func join(path, name string) string { return strings.Trim(path+"."+name, ".") }

func orNull(v any) any {
	if v == nil {
		return json.Number("null")
	}
	return v
}
