package errors

import (
	"reflect"

	"github.com/kratos-breaker/breaker/internal/fault"
)

// messaged are the methods of Kratos' errors that say all that is said here.
type messaged interface {
	fault.Coded
	GetMessage() string
}

// asKratos is the As method of an error that is a Kratos error, without linking
// Kratos: it fills a **T in, where *T is an error with Kratos' methods and T has
// Kratos' fields, with a new value.
func asKratos(target any, e messaged, cause error) bool {
	pointer := reflect.ValueOf(target)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() || pointer.Type().Elem().Kind() != reflect.Pointer {
		return false
	}
	wanted := pointer.Type().Elem()
	if !wanted.Implements(reflect.TypeFor[messaged]()) || !wanted.Implements(reflect.TypeFor[error]()) ||
		wanted.Elem().Kind() != reflect.Struct {
		return false
	}
	made := reflect.New(wanted.Elem())
	code, reason, message := made.Elem().FieldByName("Code"), made.Elem().FieldByName("Reason"), made.Elem().FieldByName("Message")
	if code.Kind() != reflect.Int32 || reason.Kind() != reflect.String || message.Kind() != reflect.String ||
		!code.CanSet() || !reason.CanSet() || !message.CanSet() {
		return false
	}
	code.SetInt(int64(e.GetCode()))
	reason.SetString(e.GetReason())
	message.SetString(e.GetMessage())
	if with := made.MethodByName("WithCause"); cause != nil && with.IsValid() &&
		with.Type() == reflect.FuncOf([]reflect.Type{reflect.TypeFor[error]()}, []reflect.Type{wanted}, false) {
		made = with.Call([]reflect.Value{reflect.ValueOf(&cause).Elem()})[0]
	}
	pointer.Elem().Set(made)
	return true
}
