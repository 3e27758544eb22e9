package errors_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kratos-breaker/breaker/errors"
)

func TestGRPC_EveryCodeCountsTheSameAfterTheWire(t *testing.T) {
	var next error
	cc := grpcClient(t, grpcServer(t, func(context.Context, any) (any, error) { return nil, next }))
	for code := codes.Code(1); code <= 18; code++ {
		for _, r := range []string{"", "REASON"} {
			next = grpcError(code, "a message", reason(r))
			err := call(t.Context(), cc)
			require.Equal(t, code, status.Code(err))
			require.Equal(t, errors.Classify(next), errors.Classify(err), "%v %q", code, r)
		}
	}
	next = errPlain
	require.Equal(t, failure, errors.Classify(call(t.Context(), cc)), "a plain error of the handler")
}

func TestGRPC_ARefusedConnectionIsAFailure(t *testing.T) {
	err := call(t.Context(), grpcClient(t, closedPort(t)))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "refused")
	require.Equal(t, failure, errors.Classify(err))
}

func TestGRPC_AResetConnectionIsAFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	})
	defer done.Wait()
	defer func() { _ = l.Close() }()
	err = call(t.Context(), grpcClient(t, l.Addr().String()))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, failure, errors.Classify(err))
}

// waitForEnd answers when nobody waits for it any more.
func waitForEnd(ctx context.Context, _ any) (any, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestGRPC_ATimeoutIsAFailure(t *testing.T) {
	cc := grpcClient(t, grpcServer(t, waitForEnd))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := call(ctx, cc)
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	require.Equal(t, failure, errors.Classify(err))
	require.Equal(t, failure, outcomeOf(ctx, err))
}

func TestGRPC_AMethodThatTheBackendDoesNotHaveIsIgnored(t *testing.T) {
	cc := grpcClient(t, grpcServer(t, nil))
	err := cc.Invoke(t.Context(), "/test.Service/Nothing", wrapperspb.String(""), new(wrapperspb.StringValue))
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.Equal(t, ignored, errors.Classify(err))
}

// unmarshalableRequest returns what a client makes of a request that is no
// message.
func unmarshalableRequest(t *testing.T) error {
	t.Helper()
	called := false
	cc := grpcClient(t, grpcServer(t, func(_ context.Context, req any) (any, error) {
		called = true
		return req, nil
	}))
	err := cc.Invoke(t.Context(), callMethod, struct{}{}, new(wrapperspb.StringValue))
	require.Equal(t, codes.Internal, status.Code(err))
	require.False(t, called)
	return err
}

func TestGRPC_ARequestThatCannotBeEncodedIsIgnored(t *testing.T) {
	err := unmarshalableRequest(t)
	for _, w := range wrappings {
		require.Equal(t, ignored, errors.Classify(w.wrap(err)), w.name)
		require.Equal(t, ignored, outcomeOf(t.Context(), w.wrap(err)), w.name)
	}
}

func TestGRPC_NoOtherErrorWithTheWordsOfOneThatIsNotEncodedIsIgnored(t *testing.T) {
	message := status.Convert(unmarshalableRequest(t)).Message()
	for code := codes.Code(1); code <= 17; code++ {
		if code != codes.Internal {
			require.Equal(t, errors.Classify(status.Error(code, "")), errors.Classify(status.Error(code, message)), "%v", code)
		}
	}
	for _, m := range []string{"", "a message", "x " + message, "grpc: failed to unmarshal the received message: x", "grpc: "} {
		require.Equal(t, failure, errors.Classify(status.Error(codes.Internal, m)), m)
	}
}

// gRPC's server reports an answer that it cannot encode, say a string that is no
// UTF-8, with the words that its client has for a request.
func TestGRPC_AnAnswerThatTheBackendCannotEncodePassesForARequest(t *testing.T) {
	cc := grpcClient(t, grpcServer(t, func(context.Context, any) (any, error) { return wrapperspb.String("\xff"), nil }))
	err := call(t.Context(), cc)
	require.Equal(t, codes.Internal, status.Code(err))
	require.Equal(t, ignored, errors.Classify(err), "%v", err)
}

func TestGRPC_AnAnswerThatCannotBeDecodedIsAFailure(t *testing.T) {
	cc := grpcClient(t, grpcServer(t, func(context.Context, any) (any, error) { return wrapperspb.Bytes([]byte("\xff")), nil }))
	err := call(t.Context(), cc)
	require.Equal(t, codes.Internal, status.Code(err))
	require.ErrorContains(t, err, "unmarshal")
	require.Equal(t, failure, errors.Classify(err))
}
