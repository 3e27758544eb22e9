package grpc_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// books are what the callers themselves saw happen.
type books struct{ success, failure, ignored, rejected atomic.Uint64 }

func (b *books) enter(o breaker.Outcome) {
	switch o {
	case success:
		b.success.Add(1)
	case ignored:
		b.ignored.Add(1)
	default:
		b.failure.Add(1)
	}
}

func (b *books) totals() breaker.Totals {
	return breaker.Totals{Success: b.success.Load(), Failure: b.failure.Load(), Ignored: b.ignored.Load(), Rejected: b.rejected.Load()}
}

// end is one of the ends that a caller and a backend can agree on.
type end struct {
	name string // what the backend is asked to do: "ok", "down", "missing" or "wait"
	want breaker.Outcome
	// do makes the call, with a context that ends with it.
	do func(ctx context.Context, cancel func(), call func(context.Context, ...grpc.CallOption) error)
}

func simply(ctx context.Context, _ func(), call func(context.Context, ...grpc.CallOption) error) {
	_ = call(ctx)
}

var ends = []end{
	{"ok", success, simply},
	{"ok", success, simply},
	{"missing", success, simply},
	{"down", failure, simply},
	{"wait", ignored, func(ctx context.Context, cancel func(), call func(context.Context, ...grpc.CallOption) error) {
		var giver sync.WaitGroup
		giver.Go(cancel)
		_ = call(ctx)
		giver.Wait()
	}},
	{"wait", failure, func(ctx context.Context, _ func(), call func(context.Context, ...grpc.CallOption) error) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Millisecond)
		defer cancel()
		_ = call(ctx)
	}},
	{"ok", ignored, func(ctx context.Context, _ func(), call func(context.Context, ...grpc.CallOption) error) {
		ctx, cancel := context.WithTimeout(ctx, -time.Second)
		defer cancel()
		_ = call(ctx)
	}},
	{"ok", ignored, func(ctx context.Context, _ func(), call func(context.Context, ...grpc.CallOption) error) {
		_ = call(ctx, grpc.UseCompressor("none of that name"))
	}},
	{"ok", failure, func(ctx context.Context, _ func(), call func(context.Context, ...grpc.CallOption) error) {
		breakertest.EndOf(func() { _ = call(context.WithValue(ctx, saboteur{}, before)) })
	}},
	// The stream is open when the panic comes, and nobody has it.
	{"wait", failure, func(ctx context.Context, _ func(), call func(context.Context, ...grpc.CallOption) error) {
		breakertest.EndOf(func() { _ = call(context.WithValue(ctx, saboteur{}, after)) })
	}},
}

// questioned is a context that remembers what it said when it was first asked
// whether it had ended. It is the interceptor who asks, right before the call. A
// deadline of 2 ms may be over then, which nobody else can know for sure.
type questioned struct {
	context.Context
	once sync.Once
	late bool
}

func (c *questioned) Err() error {
	err := c.Context.Err()
	c.once.Do(func() { c.late = err != nil })
	return err
}

// saboteur is the key of what makes the interceptor below panic.
type saboteur struct{}

const (
	before = "before"
	after  = "after"
)

func sabotage(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, m string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if ctx.Value(saboteur{}) == before {
		panic(before)
	}
	s, err := streamer(ctx, desc, cc, m, opts...)
	if ctx.Value(saboteur{}) == after {
		panic(after)
	}
	return s, err
}

func sabotageUnary(ctx context.Context, m string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if what := ctx.Value(saboteur{}); what != nil {
		panic(what)
	}
	return invoker(ctx, m, req, reply, cc, opts...)
}

// obey is a backend that does what it is asked.
func obey(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	switch md.Get("end")[0] {
	case "down":
		return status.Error(codes.Unavailable, "")
	case "missing":
		return status.Error(codes.NotFound, "")
	case "wait":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// stress makes calls and streams of every kind with every end from many
// goroutines, and returns what the callers saw, by method.
func stress(t *testing.T, opts ...cbgrpc.Option) map[string]*books {
	t.Helper()
	l := listen(t)
	serve(t, l, &backend{
		unary: func(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
			return new(testgrpc.SimpleResponse), obey(ctx)
		},
		stream: func(s grpc.ServerStream) error {
			if err := obey(s.Context()); err != nil {
				return err
			}
			return s.SendMsg(empty())
		},
	})
	cc := dial(t, l.Addr().String(),
		grpc.WithChainUnaryInterceptor(cbgrpc.UnaryClientInterceptor(opts...), sabotageUnary),
		grpc.WithChainStreamInterceptor(cbgrpc.StreamClientInterceptor(opts...), sabotage))

	kept := map[string]*books{unaryMethod: new(books)}
	for _, k := range kinds {
		kept[k.method] = new(books)
	}
	one := func(r *rand.Rand) {
		k := r.IntN(len(kinds) + 1)
		end := ends[r.IntN(len(ends))]
		m, rejected, asked := unaryMethod, false, new(questioned)
		call := func(ctx context.Context, opts ...grpc.CallOption) error {
			asked.Context = ctx
			err := cc.Invoke(asked, unaryMethod, empty(), empty(), opts...)
			rejected = cberrors.IsRejected(err)
			return err
		}
		if k < len(kinds) {
			m = kinds[k].method
			call = func(ctx context.Context, opts ...grpc.CallOption) error {
				asked.Context = ctx
				stream, err := cc.NewStream(asked, kinds[k].desc, m, opts...)
				rejected = cberrors.IsRejected(err)
				if err != nil {
					return err
				}
				if !kinds[k].desc.ClientStreams {
					_ = stream.SendMsg(empty())
				}
				_ = stream.CloseSend()
				if end.name == "wait" && r.IntN(2) == 0 {
					<-ctx.Done() // a caller who never receives
					return ctx.Err()
				}
				return receiveAll(stream)
			}
		}
		ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), "end", end.name))
		defer cancel()
		end.do(ctx, cancel, call)
		switch {
		case rejected:
			kept[m].rejected.Add(1)
		case asked.late:
			kept[m].enter(ignored)
		default:
			kept[m].enter(end.want)
		}
	}
	var callers sync.WaitGroup
	for i := range 32 {
		r := rand.New(rand.NewPCG(5, uint64(i)))
		callers.Go(func() {
			for range 60 {
				one(r)
			}
		})
	}
	callers.Wait()
	return kept
}

func TestStress_TotalsAreThoseOfTheCallersAndNoProbeIsLost(t *testing.T) {
	byMethod := cbgrpc.WithKey(func(_ context.Context, m string, _ *grpc.ClientConn) string { return m })
	for name, makes := range map[string]func() breaker.Breaker{
		"sre": func() breaker.Breaker { return sre.NewBreaker() },
		"circuit": func() breaker.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(4), circuit.WithDelay(200*time.Microsecond), circuit.WithProbes(2, 3))
		},
	} {
		t.Run(name, func(t *testing.T) {
			breakers := group.NewGroup(makes)
			kept := stress(t, cbgrpc.WithGroup(breakers), byMethod)
			require.Equal(t, len(kept), breakers.Len())
			var seen [4]uint64
			for m, books := range kept {
				b := breakers.Get(m)
				// gRPC tells of a cancellation in a goroutine of its own.
				eventually(t, m+" has nothing in flight", func() bool { return b.Snapshot().Totals.InFlight == 0 })
				want := books.totals()
				breakertest.RequireTotals(t, b, want)
				for i, n := range []uint64{want.Success, want.Failure, want.Ignored, want.Rejected} {
					seen[i] += n
				}
				if name == "circuit" {
					eventually(t, m+" closes", func() bool { return closes(b) })
				}
			}
			if name == "circuit" {
				require.NotContains(t, seen, uint64(0), "successes, failures, ignored, rejections")
			}
		})
	}
}

// closes makes a call that succeeds, and reports whether b is closed.
func closes(b breaker.Breaker) bool {
	_ = breaker.Run(context.Background(), b, func(context.Context) error { return nil })
	return b.Snapshot().State == breaker.Closed
}

func TestStress_AegisBreakersGetOneMarkPerCall(t *testing.T) {
	breakers := group.NewGroup(func() *breakertest.IgnoringTrio { return new(breakertest.IgnoringTrio) })
	kept := stress(t, cbgrpc.WithGroup(breakers), cbgrpc.WithKey(func(_ context.Context, m string, _ *grpc.ClientConn) string { return m }))
	for m, books := range kept {
		want := books.totals()
		got := map[string]uint64{}
		eventually(t, "all are marked", func() bool {
			for _, mark := range breakers.Get(m).Heard() {
				got[mark]++
			}
			return got["MarkSuccess"]+got["MarkFailed"]+got["MarkIgnored"] >= got["Allow"]
		})
		require.Equal(t, map[string]uint64{
			"Allow": want.Success + want.Failure + want.Ignored, "MarkSuccess": want.Success, "MarkFailed": want.Failure, "MarkIgnored": want.Ignored,
		}, got)
	}
}
