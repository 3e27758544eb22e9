package grpc

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/adapter"
)

// StreamClientInterceptor returns an interceptor for streams. It panics if an
// option is nil or out of its range.
//
// A stream asks its breaker once, when it is opened, and its outcome counts
// once: when it could not be opened, or when it ends, with whatever ends it. The
// end by io.EOF is a success. The caller need not receive anything: cancelling
// the context ends a stream, too. One that gRPC itself never finishes, since
// nobody receives from it or cancels it, stays in flight; if it is a probe, its
// breaker gives it up after the lease. [WithStreamSuccessAfter] is for streams
// that stay open for long.
//
// The end comes from grpc.OnFinish, so interceptors between this one and gRPC
// must pass the call options on. A streamer that panics or ends its goroutine is
// a failure, and the panic goes on. Streams of a connection that was closed by
// its owner are ignored, as those whose caller gave up, and as those whose deadline
// had passed before they were opened.
//
// gRPC tells the end on the goroutine that notices it, which may be one of its own.
// There, a panic of a classifier or of a listener would end the process, so it is kept
// for the next call or stream over the interceptor, and goes on there.
//
// A breaker that looks at slow calls sees how long opening the stream took, and how
// long the caller waited for the first message once one was due: after the first
// message that it sent, or after CloseSend if there is only one answer. The life of the
// stream and the caller's own pauses do not count.
//
// A stream with up to three call options costs two allocations more, and one more with
// WithStreamSuccessAfter or such a breaker; without them its messages cost nothing.
func StreamClientInterceptor(opts ...Option) grpc.StreamClientInterceptor {
	o := newOptions("StreamClientInterceptor", opts)
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, callOpts ...grpc.CallOption) (grpc.ClientStream, error) {
		switch {
		case ctx == nil:
			return nil, errNilContext
		case streamer == nil:
			return nil, errNilStreamer
		}
		p, rule, err := o.ask(ctx, method, cc)
		if err != nil {
			return nil, err
		}
		e := &ending{options: o, permit: p, ctx: ctx, cc: cc, classify: o.classifier(rule)}
		if o.successAfter > 0 {
			e.watched = &watched{ending: e, asked: time.Now()}
		}
		returned := false
		defer func() {
			if !returned {
				e.abort()
			}
		}()
		e.late = adapter.TooLate(ctx)
		s, err := streamer(ctx, desc, cc, method, e.observed(callOpts)...)
		returned = true
		if s == nil && err == nil {
			err = errNoStream
		}
		if err != nil {
			e.finish(err) // gRPC may not know: an interceptor may have failed before it
			o.panics.Throw()
			return s, err
		}
		timed, answers := p.Pause(), p.WantsAnswer()
		switch {
		case e.watched == nil && !timed && !answers:
			return s, nil
		case e.watched == nil:
			e.watched = &watched{ending: e}
		}
		w := e.watched
		w.ClientStream, w.timed, w.oneAnswer = s, timed, desc != nil && !desc.ServerStreams
		w.answers = answers
		return w, nil
	}
}

// ending settles the permit of a stream once, whoever comes first to tell how
// it ended.
type ending struct {
	options  *options
	permit   breaker.Permit
	ctx      context.Context
	late     bool
	cc       *grpc.ClientConn
	classify breaker.Classifier
	state    atomic.Uint32
	watched  *watched // with successAfter

	callOpts [4]grpc.CallOption // usually enough
}

const (
	unanswered uint32 = iota
	answered          // a message was received; only noted if messages are looked at
	settled
)

// observed returns the call options with one more, by which gRPC tells the end.
// It is the first, so that no other callback comes before it.
func (e *ending) observed(callOpts []grpc.CallOption) []grpc.CallOption {
	all := append(e.callOpts[:0], grpc.OnFinish(e.finish))
	all = append(all, callOpts...)
	return all[:len(all):len(all)] // who appends shall not write into it
}

// finish is told how the stream ended, maybe more than once.
func (e *ending) finish(err error) {
	defer e.options.panics.Catch() // gRPC may have called it on a goroutine of its own
	switch was := e.state.Swap(settled); {
	case was == settled:
	case was == answered && e.isLasting():
		e.permit.Done(breaker.Success)
	default:
		result := breaker.Result{Outcome: breaker.Failure, Err: err} // for a panic or Goexit of the classifier
		defer func() { adapter.Settle(e.permit, result) }()
		result = resultOfError(e.ctx, e.late, e.cc, err, e.classify)
	}
}

// abort is called if the streamer did not return.
func (e *ending) abort() {
	if e.state.Swap(settled) != settled {
		e.permit.Done(breaker.Failure)
	}
}

// received is called with each message.
func (e *ending) received() {
	if e.state.Load() == settled {
		return
	}
	e.state.CompareAndSwap(unanswered, answered)
	if e.isLasting() && e.state.Swap(settled) != settled {
		e.permit.Done(breaker.Success)
	}
}

func (e *ending) isLasting() bool {
	return e.options.successAfter > 0 && time.Since(e.watched.asked) >= e.options.successAfter
}

// watched is a stream whose messages are looked at.
type watched struct {
	grpc.ClientStream
	waiting
	ending  *ending
	asked   time.Time // with successAfter
	answers bool      // whether the breaker wants to know of the first message
}

// RecvMsg receives a message.
func (w *watched) RecvMsg(m any) error {
	w.await(w.ending.permit)
	err := w.ClientStream.RecvMsg(m)
	w.arrived(w.ending.permit)
	if err == nil {
		w.ending.received()
		if w.answers {
			w.answers = false
			w.ending.permit.Answered()
		}
	}
	return err
}

// Header waits for the header.
func (w *watched) Header() (metadata.MD, error) {
	w.await(w.ending.permit)
	md, err := w.ClientStream.Header()
	w.arrived(w.ending.permit)
	return md, err
}

// SendMsg sends a message.
func (w *watched) SendMsg(m any) error {
	err := w.ClientStream.SendMsg(m)
	if !w.oneAnswer {
		w.due(w.ending.permit)
	}
	return err
}

// CloseSend says that no message follows.
func (w *watched) CloseSend() error {
	err := w.ClientStream.CloseSend()
	w.due(w.ending.permit)
	return err
}
