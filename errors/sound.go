package errors

import (
	"reflect"
	"strings"
	"sync/atomic"
	"unsafe"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// words are the two words of an error: what it is, for every type another one, and
// where. Both are only compared.
type words struct{ what, where unsafe.Pointer }

func wordsOf(err error) words { return *(*words)(unsafe.Pointer(&err)) }

// Nearly all errors are of two types. Their methods do not panic, unless of a nil
// pointer, so they need not be called with care, which would take three times as
// long.
var (
	grpcError   = wordsOf(status.Error(codes.Unknown, "")).what
	kratosError atomic.Pointer[byte] // of the version that the program links, once one was seen
)

const (
	unsound = iota
	ofKratos
	ofGRPC
)

// soundness says which of the two types err is of, if it is no nil pointer.
func soundness(err error) int {
	switch w := wordsOf(err); {
	case w.where == nil:
	case w.what == unsafe.Pointer(kratosError.Load()):
		return ofKratos
	case w.what == grpcError:
		return ofGRPC
	}
	return unsound
}

// learn remembers the type of err if it is the error of a version of Kratos.
func learn(err error) {
	if kratosError.Load() != nil {
		return
	}
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer && t.Elem().Name() == "Error" &&
		strings.HasPrefix(t.Elem().PkgPath(), "github.com/go-kratos/kratos/") && strings.HasSuffix(t.Elem().PkgPath(), "/errors") {
		kratosError.Store((*byte)(wordsOf(err).what))
	}
}
