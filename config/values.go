package config

import (
	"encoding/json"
	"maps"
	"time"
)

// values are what an object says, by field: numbers, words and other values as the
// table reads them, lists as []any, and objects as values. What is not there has the
// value of the default, and then that of the breaker.
type values map[string]any

// inherit returns v with what it does not say taken from parent: objects field by
// field, lists as a whole.
func (v values) inherit(parent values) values {
	merged := make(values)
	maps.Copy(merged, parent)
	for name, own := range v {
		child, ok := own.(values)
		if inherited, both := parent[name].(values); ok && both {
			own = child.inherit(inherited)
		}
		merged[name] = own
	}
	return merged
}

// get returns the value at a path of fields, or else the other one.
func get[T any](v values, otherwise T, path ...string) T {
	for len(path) > 1 {
		v, _ = v[path[0]].(values)
		path = path[1:]
	}
	if x, ok := v[path[0]].(T); ok {
		return x
	}
	return otherwise
}

// apply makes options of what v says.
func (v values) apply(m *made, fields []field) {
	for i := range fields {
		row := &fields[i]
		switch x := v[row.name]; {
		case x == nil:
		case row.apply != nil:
			row.apply(m, x)
		default:
			if child, ok := x.(values); ok {
				child.apply(m, row.fields)
			}
		}
	}
}

// text returns v as JSON, which tells two of them apart.
func (v values) text(fields []field) string {
	text := "{"
	for i := range fields {
		row := &fields[i]
		x, ok := v[row.name]
		if list, isList := x.([]any); !ok || isList && len(list) == 0 {
			continue // an empty list says no more than none
		}
		if text != "{" {
			text += ","
		}
		text += jsonOf(row.name) + ":" + row.text(x)
	}
	return text + "}"
}

// text returns a value of the field as JSON.
func (f *field) text(v any) string {
	switch v := v.(type) {
	case values:
		return v.text(f.fields)
	case []any:
		text := "["
		for i, e := range v {
			if i > 0 {
				text += ","
			}
			text += f.text(e)
		}
		return text + "]"
	case time.Duration:
		return jsonOf(brief(v))
	}
	return jsonOf(v)
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("config: " + err.Error()) // none of the types can fail
	}
	return string(b)
}
