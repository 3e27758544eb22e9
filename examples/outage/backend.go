package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	httpPath   = "/hello"
	grpcMethod = "/outage.Greeter/Hello"
)

// backend is two nodes with a switch for faults.
type backend struct {
	phase atomic.Int32
	nodes [2]node
}

// node is a Kratos HTTP server and a Kratos gRPC server. The ports stay the same when
// the servers come back.
type node struct {
	httpAddr, grpcAddr string

	cut func() // stops the servers that run; nil if none do
}

func newBackend() (*backend, error) {
	b := new(backend)
	for i := range b.nodes {
		b.nodes[i] = node{httpAddr: "127.0.0.1:0", grpcAddr: "127.0.0.1:0"}
	}
	if err := b.enter(healthy); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// enter makes the backend behave as in phase p.
func (b *backend) enter(p phase) error {
	b.phase.Store(int32(p))
	for i := range b.nodes {
		n := &b.nodes[i]
		switch {
		case p == refused || p == partial && i > 0:
			n.stop()
		case n.cut == nil:
			if err := n.start(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// stop closes the ports and every connection.
func (b *backend) stop() {
	for i := range b.nodes {
		b.nodes[i].stop()
	}
}

func (n *node) start(b *backend) error {
	onHTTP, err := listen(n.httpAddr)
	if err != nil {
		return err
	}
	onGRPC, err := listen(n.grpcAddr)
	if err != nil {
		return errors.Join(err, onHTTP.Close())
	}
	n.httpAddr, n.grpcAddr = onHTTP.Addr().String(), onGRPC.Addr().String()

	// No timeout of their own: a slow answer takes as long as the client waits.
	forHTTP := khttp.NewServer(khttp.Listener(onHTTP), khttp.Timeout(0))
	forHTTP.HandleFunc(httpPath, b.answerHTTP)
	forGRPC := kgrpc.NewServer(kgrpc.Listener(onGRPC), kgrpc.Timeout(0), kgrpc.DisableReflection())
	forGRPC.RegisterService(&greeter, b)

	var served sync.WaitGroup
	served.Go(func() { _ = forHTTP.Start(context.Background()) })
	served.Go(func() { _ = forGRPC.Start(context.Background()) })
	n.cut = func() {
		now, cancel := context.WithCancel(context.Background())
		cancel() // no grace: connections are cut, as in a crash
		_ = forHTTP.Stop(now)
		_ = forGRPC.Stop(now)
		served.Wait()
	}
	return nil
}

func (n *node) stop() {
	if n.cut != nil {
		n.cut()
		n.cut = nil
	}
}

// listen tries for a while if the port is taken: someone may have got it for
// a connection of his own while the backend was down.
func listen(addr string) (net.Listener, error) {
	for try := 1; ; try++ {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l, nil
		}
		if try == 50 {
			return nil, fmt.Errorf("the backend cannot listen: %w", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (b *backend) answerHTTP(w http.ResponseWriter, r *http.Request) {
	switch phase(b.phase.Load()) {
	case badGateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><h1>502 Bad Gateway</h1></html>")
	case slow:
		<-r.Context().Done()
	default:
		work(r.Context())
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"message":"hello"}`)
	}
}

func (b *backend) answerGRPC(ctx context.Context, _ any) (any, error) {
	switch phase(b.phase.Load()) {
	case badGateway: // this is what grpc-go's client makes of a proxy's 502
		return nil, status.Error(codes.Unavailable, "unexpected HTTP status code received from server: 502 (Bad Gateway)")
	case slow:
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	work(ctx)
	return wrapperspb.String("hello"), nil
}

// work takes the usual time.
func work(ctx context.Context) {
	timer := time.NewTimer(usual)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// greeter is what protoc would generate for
//
//	rpc Hello(google.protobuf.StringValue) returns (google.protobuf.StringValue);
var greeter = grpc.ServiceDesc{
	ServiceName: "outage.Greeter",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Hello",
		Handler: func(b any, ctx context.Context, decode func(any) error, around grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			return around(ctx, in, &grpc.UnaryServerInfo{Server: b, FullMethod: grpcMethod}, b.(*backend).answerGRPC)
		},
	}},
}
