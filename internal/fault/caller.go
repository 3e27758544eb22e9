package fault

import (
	"context"
	"net"
	"net/url"
	"reflect"
)

// Gone reports whether whoever made a call with ctx has given it up. That its
// deadline passed is not giving up, nor is a cancellation whose cause is a
// deadline. Nobody need look at the error of the call for that: it may be
// anything, as the cause of the cancellation.
func Gone(ctx context.Context) bool {
	if ctx == nil {
		return false
	}
	switch ctx.Err() {
	case nil, context.DeadlineExceeded:
		return false
	}
	return !isDeadline(context.Cause(ctx))
}

// isDeadline reports whether a cause says that a deadline passed: it is or wraps
// context.DeadlineExceeded, or an error that says it is by its method Is. The error of
// another call, which may say so of its own deadline, is no deadline of this one:
// errgroup cancels what is left with it. Nor is os.ErrDeadlineExceeded, the deadline of a
// read or a write.
func isDeadline(cause error) bool {
	if cause == nil {
		return false
	}
	var d deadlines
	Of(cause, &d)
	return d.found
}

// deadlines looks for a deadline, whatever else there is.
type deadlines struct{ found bool }

func (d *deadlines) Look(err error) (Verdict, bool) {
	if IsNil(err) {
		return Ignored, true
	}
	switch err.(type) { //nolint:errorlint // Of unwraps
	case *url.Error, *net.OpError, *net.DNSError:
		return Ignored, true
	}
	if _, _, isAnswer := answer(err); isAnswer {
		return Ignored, true
	}
	d.found = d.found || says(err, context.DeadlineExceeded)
	return Ignored, d.found
}

// Decide returns the outcome of a call with the context ctx that ended with err, by
// what ask says of an error. If its caller is to blame, all but a success is ignored,
// and ask is asked only about an answer of the backend: what a cancellation means is
// not for it to say. If ctx ended by a deadline, and err is its cause, ask is asked
// about context.DeadlineExceeded.
//
// An answer that is the cause, or in it, is none of the backend's: net/http fails a
// call with the cause of its context, which may be the answer of another backend. By
// a pointer the two are told apart. Values that are equal cannot be, nor can two of a
// type that == does not take: they count as the cause.
func Decide[O comparable](ctx context.Context, blamed bool, err error, success, ignored O, ask func(error) O) O {
	if !blamed {
		if err != nil && IsCause(ctx, err) {
			err = context.DeadlineExceeded
		}
		return ask(err)
	}
	if err == nil || Of(err, &answers{causeOf(ctx)}) == Success {
		if ask(err) == success {
			return success
		}
	}
	return ignored
}

// answers looks for an answer of the backend that is more than the word that the
// call was cancelled. What net/http wraps is none: it may be the cause of a context that
// was made within the call, as by errgroup, and is not known here.
type answers struct{ cause }

func (a *answers) Look(err error) (Verdict, bool) {
	if IsNil(err) {
		return Unknown, true
	}
	if _, ok := err.(*url.Error); ok { //nolint:errorlint // Of unwraps
		return Unknown, true
	}
	code, grpc, ok := answer(err)
	switch {
	case !ok:
		return Unknown, false
	case grpc && code == grpcCanceled, !grpc && code == clientClosedRequest, a.has(err):
		return Unknown, true
	}
	return Success, true
}

// IsCause reports whether ctx has ended, and err is or wraps what it ended with. What
// err says is then not said of the call.
func IsCause(ctx context.Context, err error) bool {
	if ctx == nil || ctx.Err() == nil {
		return false
	}
	l := causes{cause: causeOf(ctx)}
	if l.err == context.DeadlineExceeded || l.err == context.Canceled { //nolint:errorlint // they say it themselves; wrapped, there may be more
		return false
	}
	Of(err, &l)
	return l.found
}

// causes looks for the cause of a context, but not for that of an answer.
type causes struct {
	cause
	found bool
}

func (c *causes) Look(err error) (Verdict, bool) {
	c.found = c.found || c.has(err)
	if c.found || IsNil(err) {
		return Ignored, true
	}
	_, _, isAnswer := answer(err)
	return Ignored, isAnswer
}

// cause is what a context ended with. There are 10000 comparisons left, at most.
type cause struct {
	err  error
	left int
}

func causeOf(ctx context.Context) cause { return cause{context.Cause(ctx), 10 * maxErrors} }

// has reports whether err is, or is in, the cause.
func (c *cause) has(err error) bool {
	return find(c.err, func(part error) bool {
		v := reflect.ValueOf(part)
		return v.Type() == reflect.TypeOf(err) && (!v.Comparable() || part == err) //nolint:errorlint // find unwraps
	}, 0, &c.left)
}

const clientClosedRequest = 499 // nginx' and Kratos' word for a cancelled call

// answer returns the code of an error that is an answer: of Kratos, or of gRPC.
func answer(err error) (code int64, grpc, ok bool) {
	if e, ok := err.(Coded); ok {
		return int64(e.GetCode()), false, true
	}
	code, _, ok = GRPC(err)
	return code, true, ok
}

// Coded are the methods of Kratos' errors, of any version.
type Coded interface {
	GetCode() int32
	GetReason() string
}

// GRPC returns code and message of an error with a method GRPCStatus. It is for
// who does not link gRPC, and slow.
func GRPC(err error) (code int64, message string, ok bool) {
	method := reflect.ValueOf(err).MethodByName("GRPCStatus")
	if !method.IsValid() || method.Type().NumIn() != 0 || method.Type().NumOut() != 1 {
		return 0, "", false
	}
	s := method.Call(nil)[0]
	c, m := s.MethodByName("Code"), s.MethodByName("Message")
	if !c.IsValid() || !m.IsValid() {
		return 0, "", false
	}
	number := c.Call(nil)[0]
	if !number.CanUint() {
		return 0, "", false
	}
	return int64(number.Uint()), m.Call(nil)[0].String(), true
}

// Canceled reports whether there is a gRPC error in err that says so.
func Canceled(err error) bool {
	return Find(err, func(err error) bool {
		code, _, ok := GRPC(err)
		return ok && code == grpcCanceled
	})
}

// NotSent reports whether err says that its call never left the process.
func NotSent(err error) bool { return err != nil && Of(err, unsent{}) == Ignored }

type unsent struct{}

func (unsent) Look(err error) (Verdict, bool) {
	if IsNil(err) {
		return Failure, true
	}
	v, settled := Common(err)
	if settled {
		return v, true
	}
	e, isCoded := err.(Coded)
	if isCoded {
		if e.GetCode() == 503 && RejectedHere(e) {
			return Ignored, true
		}
		return Failure, true
	}
	code, message, ok := GRPC(err)
	switch {
	case !ok:
		return v, false
	case GRPCNotSent(uint32(code), message):
		return Ignored, true
	}
	return Failure, true
}

// RejectedHere reports whether e, an error of Kratos with the code 503, is the
// rejection by a breaker of this process, which it has as its cause.
func RejectedHere(e Coded) bool {
	if e.GetReason() != "CIRCUITBREAKER" {
		return false
	}
	wrapping, ok := e.(interface{ Unwrap() error })
	return ok && Rejected(wrapping.Unwrap())
}
