package breaker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"testing"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// said is what an error says, in the order in which it counts.
type said int

const (
	nothing said = iota
	saysIgnored
	saysSuccess
	saysFailure
)

func (s said) outcome() breaker.Outcome {
	switch s {
	case saysIgnored:
		return breaker.Ignored
	case saysSuccess:
		return breaker.Success
	}
	return breaker.Failure // also what nobody knows
}

// Errors of people who do not know each other, and of those who mean harm.
type (
	foreignAnswer struct{ code codes.Code }
	nilAnswer     struct{ _ codes.Code }
	nilCoded      struct{ _ int32 }
	nilJoin       struct{ errs []error }
	manySlices    []error
	holdsSlice    struct{ errs manySlices }
	noStatus      struct{}
	panicsInIs    struct{}
	panicsInAs    struct{}
	panicsInWrap  struct{}
	panicsInCode  struct{}
	panicsInGRPC  struct{}
	panicsInText  struct{}
	saysYes       struct{}
	wrapsItself   struct{}
	wrapsNil      struct{}

	rejectionWithStatus struct{ *breaker.RejectedError }
)

func (foreignAnswer) Error() string                { return "a foreign answer" }
func (e foreignAnswer) GRPCStatus() *status.Status { return status.New(e.code, "") }
func (*nilAnswer) Error() string                   { return "a pointer" }
func (e *nilAnswer) GRPCStatus() *status.Status    { return status.New(codes.NotFound, "") }
func (*nilCoded) Error() string                    { return "a pointer" }
func (*nilCoded) GetCode() int32                   { return 404 }
func (*nilCoded) GetReason() string                { return "" }
func (*nilJoin) Error() string                     { return "a pointer" }
func (e *nilJoin) Unwrap() []error                 { return e.errs }
func (e manySlices) Error() string                 { return fmt.Sprint(len(e), " errors") }
func (e holdsSlice) Error() string                 { return e.errs.Error() }
func (noStatus) Error() string                     { return "no status" }
func (noStatus) GRPCStatus() *status.Status        { return nil }
func (panicsInIs) Error() string                   { return "panics in Is" }
func (panicsInIs) Is(error) bool                   { panic("Is") }
func (panicsInAs) Error() string                   { return "panics in As" }
func (panicsInAs) As(any) bool                     { panic("As") }
func (panicsInWrap) Error() string                 { return "panics in Unwrap" }
func (panicsInWrap) Unwrap() error                 { panic("Unwrap") }
func (panicsInCode) Error() string                 { return "panics in GetCode" }
func (panicsInCode) GetCode() int32                { panic("GetCode") }
func (panicsInCode) GetReason() string             { panic("GetReason") }
func (panicsInGRPC) Error() string                 { return "panics in GRPCStatus" }
func (panicsInGRPC) GRPCStatus() *status.Status    { panic("GRPCStatus") }
func (panicsInText) Error() string                 { panic("Error") }
func (saysYes) Error() string                      { return "says yes to everything" }
func (saysYes) Is(error) bool                      { return true }
func (saysYes) As(any) bool                        { return true }
func (wrapsItself) Error() string                  { return "wraps itself" }
func (e wrapsItself) Unwrap() error                { return e }
func (wrapsNil) Error() string                     { return "wraps nothing" }
func (wrapsNil) Unwrap() []error                   { return []error{nil, nil} }

func (rejectionWithStatus) GRPCStatus() *status.Status { return status.New(codes.Unavailable, "") }

// leaf is an error that wraps nothing, or an answer, of which nobody asks what it wraps.
type leaf struct {
	err  error
	says said
}

func leaves() []leaf {
	_, badJSON := json.Marshal(math.Inf(1))
	return []leaf{
		{errors.New("plain"), nothing},
		{os.ErrNotExist, nothing},
		{manySlices{io.EOF}, nothing},
		{holdsSlice{manySlices{io.EOF}}, nothing},
		{panicsInAs{}, nothing},
		{panicsInText{}, nothing},
		{panicsInWrap{}, nothing},
		{saysYes{}, nothing},
		{wrapsNil{}, nothing},
		{panicsInIs{}, saysFailure},
		{panicsInCode{}, saysFailure},
		{panicsInGRPC{}, saysFailure},
		{wrapsItself{}, saysFailure},
		{noStatus{}, nothing},
		{kratoserrors.New(200, "", ""), saysSuccess},
		{kratoserrors.New(404, "NO_USER", ""), saysSuccess},
		{kratoserrors.New(10001, "", ""), saysSuccess},
		{kratoserrors.New(499, "", ""), saysFailure},
		{kratoserrors.New(500, "", ""), saysFailure},
		{kratoserrors.New(501, "", ""), saysIgnored},
		{kratoserrors.New(502, "", ""), saysFailure},
		{kratoserrors.New(503, "CIRCUITBREAKER", ""), saysFailure},
		{kratoserrors.New(404, "", "").WithCause(kratoserrors.New(503, "", "")), saysSuccess}, // an answer ends the search
		{kratoserrors.New(503, "", "").WithCause(rejection()), saysFailure},
		{kratoserrors.New(503, "CIRCUITBREAKER", "").WithCause(rejection()), saysIgnored},
		{status.Error(codes.NotFound, ""), saysSuccess},
		{status.Error(codes.Unavailable, ""), saysFailure},
		{status.Error(codes.Canceled, ""), saysFailure},
		{status.Error(codes.Unimplemented, ""), saysIgnored},
		{status.Error(codes.ResourceExhausted, ""), saysSuccess},
		{status.Error(codes.Internal, "grpc: error while marshaling: x"), saysIgnored},
		{foreignAnswer{codes.NotFound}, saysSuccess},
		{foreignAnswer{codes.DataLoss}, saysFailure},
		{foreignAnswer{99}, nothing},
		{foreignAnswer{codes.OK}, nothing},
		{(*net.OpError)(nil), saysFailure},
		{(*url.Error)(nil), saysFailure},
		{(*fs.PathError)(nil), saysFailure},
		{(*net.DNSError)(nil), saysFailure},
		{(*kratoserrors.Error)(nil), saysFailure},
		{(*nilAnswer)(nil), saysFailure},
		{(*nilCoded)(nil), saysFailure},
		{(*nilJoin)(nil), saysFailure},
		{(*net.AddrError)(nil), saysFailure},
		{(*os.SyscallError)(nil), saysFailure},
		{(*os.LinkError)(nil), saysFailure},
		{(*json.MarshalerError)(nil), saysFailure},
		{(*breaker.RejectedError)(nil), saysFailure},
		{context.Canceled, saysFailure},
		{context.DeadlineExceeded, saysFailure},
		{os.ErrDeadlineExceeded, saysFailure},
		{io.EOF, saysFailure},
		{io.ErrUnexpectedEOF, saysFailure},
		{syscall.ECONNREFUSED, saysFailure},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, saysFailure},
		{&net.OpError{Op: "read", Err: io.EOF}, saysFailure},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, saysFailure},
		{&net.DNSError{Err: "unknown port"}, saysIgnored},
		{&net.AddrError{Err: "invalid port"}, saysIgnored},
		{rejection(), saysIgnored},
		{cberrors.NotAllowed(rejection()), saysIgnored},
		{rejectionWithStatus{rejection()}, saysIgnored},
		{aegis.ErrNotAllowed, saysIgnored},
		{breaker.NotSent(kratoserrors.New(401, "", "")), saysIgnored},
		{badJSON, saysIgnored},
		{&url.Error{Op: "parse", Err: io.EOF}, saysIgnored},
		{errors.New(`net/http: invalid method "A B"`), saysIgnored},
		{fmt.Errorf("http2: %w", errors.New("invalid Host header")), saysIgnored},
		{net.UnknownNetworkError("carrier pigeon"), saysIgnored},
	}
}

// tree is a random error, and what it says.
type tree struct {
	data   []byte
	leaves []leaf
}

func (t *tree) next(n int) int {
	if len(t.data) == 0 {
		return 0
	}
	b := t.data[0]
	t.data = t.data[1:]
	return int(b) % n
}

func (t *tree) build(depth int) leaf {
	kind := t.next(8)
	if depth == 0 || kind < 2 {
		return t.leaves[t.next(len(t.leaves))]
	}
	of := t.build(depth - 1)
	switch kind {
	case 2:
		return leaf{fmt.Errorf("wrapped: %w", of.err), of.says}
	case 3:
		return leaf{&url.Error{Op: "Get", URL: "http://a", Err: of.err}, of.says}
	case 4:
		return leaf{&net.OpError{Op: "read", Net: "tcp", Err: of.err}, orFailure(of.says)}
	case 5: // the answer of a backend comes before what caused it
		return leaf{kratoserrors.New(404, "", "").WithCause(of.err), saysSuccess}
	}
	errs := []error{of.err}
	for range t.next(3) {
		another := t.build(depth - 1)
		errs, of.says = append(errs, another.err), max(of.says, another.says)
	}
	if kind == 6 {
		return leaf{errors.Join(errs...), of.says}
	}
	return leaf{fmt.Errorf("%w and %w", errs[0], errors.Join(errs...)), of.says}
}

func orFailure(s said) said {
	if s == nothing {
		return saysFailure
	}
	return s
}

func FuzzClassify_ATreeOfErrorsSaysTheSameToAllAdaptersAndPanicsNowhere(f *testing.F) {
	for i := range leaves() {
		f.Add([]byte{byte(i % 8), 0, byte(i), 1, 0, byte(i * 7)})
	}
	f.Fuzz(requireTree)
}

// The same without a fuzzer, which takes its time.
func TestClassify_RandomTreesOfErrorsSayTheSameToAllAdapters(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		data := make([]byte, 40)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		requireTree(t, data)
	}
}

// requireTree requires that the tree that is made of data says what its parts do.
func requireTree(t *testing.T, data []byte) {
	tr := &tree{data: data, leaves: leaves()}
	want := tr.build(5)
	require.Equal(t, want.says.outcome(), cberrors.Classify(want.err), "%T of %v", want.err, data)
	_ = cberrors.IsRejected(want.err)
	_, _ = cberrors.RetryAfter(want.err)
	_ = cberrors.NotAllowed(want.err)
	_ = cberrors.ClassifyKratos(want.err)
	if cberrors.IsNotSent(want.err) {
		require.Equal(t, saysIgnored, want.says)
	}
	_ = breaker.AsRejected("x", want.err)
	sameEverywhere(t, want)
}

// ended says how the context of a call ends while it runs.
type ended int

const (
	byNobody ended = iota
	byCaller
	byCallerWithCause // the very error that the call then ends with, as over net/http
	byDeadline        // a deadline, with such a cause
)

// sameEverywhere requires that the end has the same outcome through everything that
// settles permits, whoever ends the context.
func sameEverywhere(t *testing.T, end leaf) {
	for who := byNobody; who <= byDeadline; who++ {
		seen := map[string]breaker.Outcome{}
		for name, call := range everyAdapter {
			b := &breakertest.Recorder{}
			ctx, cancel := context.WithCancelCause(breakertest.ClientContext(context.Background(), "/op"))
			got := call(ctx, b, func() error {
				switch who {
				case byCaller:
					cancel(nil)
				case byCallerWithCause:
					cancel(&url.Error{Op: "Get", URL: "http://sibling", Err: end.err})
				case byDeadline:
					cancel(fmt.Errorf("%w: %w", context.DeadlineExceeded, end.err))
				}
				return end.err
			})
			cancel(nil)
			require.True(t, same(got, end.err), "%s changed the error", name)
			require.Len(t, b.Marks, 1, name)
			seen[name] = outcomeOf(b.Marks[0])
		}
		for name, o := range seen {
			require.Equal(t, seen["Do"], o, "%s, %v: %T", name, who, end.err)
		}
		switch got, want := seen["Do"], end.says.outcome(); {
		case who == byNobody:
			require.Equal(t, want, got, "%T", end.err)
		case who == byCaller && want != breaker.Success, who == byCallerWithCause:
			require.Equal(t, breaker.Ignored, got, "%T", end.err)
		case who == byDeadline:
			require.Equal(t, breaker.Failure, got, "%T", end.err)
		}
	}
}

// same reports whether a and b are one error, which may be nothing that can be compared.
func same(a, b error) bool { return fmt.Sprintf("%T %p", a, a) == fmt.Sprintf("%T %p", b, b) }

func outcomeOf(mark string) breaker.Outcome {
	for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure} {
		if o.String() == mark {
			return o
		}
	}
	return breaker.Ignored
}

// everyAdapter makes a call that ends as end says, each in its own way.
var everyAdapter = map[string]func(ctx context.Context, b *breakertest.Recorder, end func() error) error{
	"Do": func(ctx context.Context, b *breakertest.Recorder, end func() error) error {
		_, err := breaker.Do(ctx, breaker.Adapt(b), func(context.Context) (int, error) { return 0, end() }, breaker.WithClassifier(cberrors.Classify))
		return err
	},
	"Run": func(ctx context.Context, b *breakertest.Recorder, end func() error) error {
		return breaker.Run(ctx, breaker.Adapt(b), func(context.Context) error { return end() }, breaker.WithClassifier(cberrors.Classify))
	},
	"OutcomeOf": func(ctx context.Context, b *breakertest.Recorder, end func() error) error {
		p, _ := breaker.Adapt(b).Acquire()
		err := end()
		p.Done(breaker.OutcomeOf(ctx, err, cberrors.Classify))
		return err
	},
	"middleware": func(ctx context.Context, b *breakertest.Recorder, end func() error) error {
		m := circuitbreaker.Client(circuitbreaker.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })))
		_, err := m(func(context.Context, any) (any, error) { return nil, end() })(ctx, nil)
		return err
	},
	"endpoint": func(ctx context.Context, b *breakertest.Recorder, end func() error) error {
		key := func(context.Context, any) (string, string, bool) { return "", "key", true }
		m := endpoint.New[func(context.Context, any) (any, error)](key, endpoint.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })))
		_, err := m(func(context.Context, any) (any, error) { return nil, end() })(ctx, nil)
		return err
	},
	"interceptor": func(ctx context.Context, b *breakertest.Recorder, end func() error) error {
		in := breakergrpc.UnaryClientInterceptor(breakergrpc.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })))
		return in(ctx, "/a/b", nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return end() })
	},
	"stream": func(ctx context.Context, b *breakertest.Recorder, end func() error) error {
		in := breakergrpc.StreamClientInterceptor(breakergrpc.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })))
		_, err := in(ctx, &grpc.StreamDesc{}, nil, "/a/b",
			func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
				return nil, end()
			})
		return err
	},
	"RoundTripper": func(ctx context.Context, b *breakertest.Recorder, end func() error) error {
		rt := breakerhttp.NewTransport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, end() }),
			breakerhttp.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })))
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://backend:80", nil)
		_, err := rt.RoundTrip(req)
		return err
	},
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Errors that share what they wrap are as many as there are ways, and their number
// doubles with each level.
func TestClassify_ATreeWithoutEndTakesNoTime(t *testing.T) {
	err := errors.New("shared")
	for range 64 {
		err = errors.Join(err, err)
	}
	require.Equal(t, breaker.Failure, cberrors.Classify(err))
	require.False(t, cberrors.IsRejected(err))
	var deep error = kratoserrors.New(404, "", "")
	for range 90 {
		deep = fmt.Errorf("%w", deep)
	}
	require.Equal(t, breaker.Success, cberrors.Classify(deep))
	for range 20 {
		deep = fmt.Errorf("%w", deep)
	}
	require.Equal(t, breaker.Failure, cberrors.Classify(deep), "beyond the depth that is looked into")
}
