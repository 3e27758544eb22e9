// Package option has what all constructors with options have in common.
package option

import "reflect"

// Apply applies the options in their order, so that the last one counts. It panics
// if one is nil; caller is the package and the function, for that.
func Apply[T any, O ~func(*T)](caller string, to *T, opts []O) {
	for _, o := range opts {
		if o == nil {
			panic(caller + ": nil Option")
		}
		o(to)
	}
}

// IsNil reports whether v is nil, or an interface that holds a nil pointer,
// function, map, slice or channel.
func IsNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan, reflect.Interface, reflect.UnsafePointer:
		return r.IsNil()
	default:
		return false
	}
}
