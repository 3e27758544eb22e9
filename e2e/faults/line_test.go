package faults_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
	kratosgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// line is a way to call: a transport, and an adapter in front of it.
type line struct {
	name         string
	grpc, kratos bool
	// body says that the breaker hears of the whole answer, and not only of its
	// header.
	body bool
	// guard makes clients whose calls ask the breakers.
	guard func(n *network, b breakers) dialer
}

// dialer makes a client for a target.
type dialer func(to target) *client

type target struct {
	address string
	name    string // in place of the address: one that the network's DNS is asked for
	tls     bool
	timeout time.Duration // of the client, for each call; 0 for none
}

// client makes calls to one target.
type client struct {
	// call makes a call, to its end, and returns what the caller saw of it.
	call func(ctx context.Context, do, id string) string
	// connect waits for a connection, if clients of this kind have one without
	// a call.
	connect func(ctx context.Context)
	// close closes the connections that are idle: a call that the caller has left
	// may keep one for a moment.
	close func()
}

func noConnect(context.Context) {}

// lines are the columns of the table.
var lines = []*line{
	{name: "HTTP/1.1, header", guard: plainHTTP(false)},
	{name: "HTTP/1.1, body", body: true, guard: plainHTTP(false, breakerhttp.WithBody())},
	{name: "HTTP/2, header", guard: plainHTTP(true)},
	{name: "HTTP/2, body", body: true, guard: plainHTTP(true, breakerhttp.WithBody())},
	{name: "Kratos, HTTP/1.1", kratos: true, body: true, guard: kratosHTTP(false)},
	{name: "Kratos, HTTP/2", kratos: true, body: true, guard: kratosHTTP(true)},
	{name: "unary", grpc: true, guard: plainGRPC(unary)},
	{name: "server stream", grpc: true, guard: plainGRPC(serverStream)},
	{name: "client stream", grpc: true, guard: plainGRPC(clientStream)},
	{name: "bidirectional stream", grpc: true, guard: plainGRPC(bidirectional)},
	{name: "Kratos, unary", grpc: true, kratos: true, guard: kratosGRPC},
}

func (to target) httpAddress() string {
	address := to.address
	if to.name != "" {
		address = to.name + ":80"
	}
	if to.tls {
		return "https://" + address
	}
	return "http://" + address
}

// reply is what the backend answers over HTTP.
type reply struct {
	Text string `json:"text"`
}

func plainHTTP(h2 bool, opts ...breakerhttp.Option) func(*network, breakers) dialer {
	return func(n *network, b breakers) dialer {
		base := n.transport(h2)
		guarded := breakerhttp.NewTransport(base, append(opts, breakerhttp.WithGroup(b))...)
		return func(to target) *client {
			c := &http.Client{Transport: guarded, Timeout: to.timeout}
			call := func(ctx context.Context, do, id string) string {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.httpAddress()+"/call", strings.NewReader("{}"))
				if err != nil {
					return classOf(err)
				}
				req.Header.Set(headerDo, do)
				req.Header.Set(headerID, id)
				resp, err := c.Do(req)
				if err != nil {
					return classOf(err)
				}
				defer func() { _ = resp.Body.Close() }()
				saw := strconv.Itoa(resp.StatusCode)
				body, err := io.ReadAll(io.TeeReader(resp.Body, &search{found: n.answered}))
				if err == nil && resp.StatusCode == http.StatusOK {
					err = json.Unmarshal(body, new(reply))
				}
				if err != nil {
					saw += then + classOf(err)
				}
				return saw
			}
			return &client{call, noConnect, c.CloseIdleConnections}
		}
	}
}

// then is between the status and the error that followed.
const then = ", then "

func kratosHTTP(h2 bool) func(*network, breakers) dialer {
	return func(n *network, b breakers) dialer {
		n.unseen = true
		guard := circuitbreaker.Client(circuitbreaker.WithGroup(b))
		return func(to target) *client { return newKratosHTTP(n.transport(h2), to, http.MethodPost, guard) }
	}
}

func newKratosHTTP(base *http.Transport, to target, method string, ms ...middleware.Middleware) *client {
	c, err := kratoshttp.NewClient(context.Background(), kratoshttp.WithEndpoint(to.httpAddress()),
		kratoshttp.WithTransport(base), kratoshttp.WithTimeout(to.timeout), kratoshttp.WithMiddleware(ms...))
	if err != nil {
		panic(err)
	}
	return &client{(&kratosCaller{c, method}).call, noConnect, func() {
		_ = c.Close()
		base.CloseIdleConnections()
	}}
}

// kratosCaller makes calls with Kratos' HTTP client.
type kratosCaller struct {
	*kratoshttp.Client
	method string
}

func (c *kratosCaller) call(ctx context.Context, do, id string) string {
	header := http.Header{}
	header.Set(headerDo, do)
	header.Set(headerID, id)
	var body any
	if c.method == http.MethodPost {
		body = new(reply)
	}
	err := c.Invoke(ctx, c.method, "/call", body, new(reply), kratoshttp.Header(&header),
		kratoshttp.Operation("/test.Backend/Call"), kratoshttp.PathTemplate("/call"))
	if err != nil {
		return classOf(err)
	}
	return "200"
}

// kind makes a call of one kind over gRPC, to its end.
type kind func(ctx context.Context, c testgrpc.TestServiceClient) error

// messages is how many are sent on a stream.
const messages = 3

func unary(ctx context.Context, c testgrpc.TestServiceClient) error {
	_, err := c.UnaryCall(ctx, new(testgrpc.SimpleRequest))
	return err
}

func serverStream(ctx context.Context, c testgrpc.TestServiceClient) error {
	s, err := c.StreamingOutputCall(ctx, new(testgrpc.StreamingOutputCallRequest))
	for err == nil {
		_, err = s.Recv()
	}
	return unlessEOF(err)
}

func clientStream(ctx context.Context, c testgrpc.TestServiceClient) error {
	s, err := c.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	for range messages {
		if err := s.Send(new(testgrpc.StreamingInputCallRequest)); err != nil {
			break // the answer tells why
		}
	}
	_, err = s.CloseAndRecv()
	return err
}

func bidirectional(ctx context.Context, c testgrpc.TestServiceClient) error {
	s, err := c.FullDuplexCall(ctx)
	for n := 0; n < messages && err == nil; n++ {
		_ = s.Send(new(testgrpc.StreamingOutputCallRequest)) // the answer tells
		_, err = s.Recv()
	}
	if err == nil {
		_ = s.CloseSend() // it never fails
		_, err = s.Recv()
	}
	return unlessEOF(err)
}

func unlessEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func plainGRPC(k kind) func(*network, breakers) dialer {
	return func(n *network, b breakers) dialer {
		n.unseen = true
		opts := append(n.dialOptions(),
			grpc.WithUnaryInterceptor(breakergrpc.UnaryClientInterceptor(breakergrpc.WithGroup(b))),
			grpc.WithStreamInterceptor(breakergrpc.StreamClientInterceptor(breakergrpc.WithGroup(b))))
		return func(to target) *client {
			security := insecure.NewCredentials()
			if to.tls {
				security = credentials.NewTLS(nil)
			}
			cc, err := grpc.NewClient(n.grpcTarget(to), append(opts, grpc.WithTransportCredentials(security))...)
			if err != nil {
				panic(err)
			}
			return newGRPC(cc, k, to.timeout)
		}
	}
}

func kratosGRPC(n *network, b breakers) dialer {
	n.unseen = true
	guard := circuitbreaker.Client(circuitbreaker.WithGroup(b))
	return func(to target) *client {
		return newGRPC(dialKratosGRPC(n, to, kratosgrpc.WithMiddleware(guard)), unary, 0)
	}
}

func dialKratosGRPC(n *network, to target, opts ...kratosgrpc.ClientOption) *grpc.ClientConn {
	opts = append(opts, kratosgrpc.WithEndpoint(n.grpcTarget(to)), kratosgrpc.WithTimeout(to.timeout),
		kratosgrpc.WithOptions(n.dialOptions()...))
	dial := kratosgrpc.DialInsecure
	if to.tls {
		dial = kratosgrpc.Dial
		opts = append(opts, kratosgrpc.WithTLSConfig(new(tls.Config)))
	}
	cc, err := dial(context.Background(), opts...)
	if err != nil {
		panic(err)
	}
	return cc
}

func newGRPC(cc *grpc.ClientConn, k kind, timeout time.Duration) *client {
	c := testgrpc.NewTestServiceClient(cc)
	call := func(ctx context.Context, do, id string) string {
		if timeout > 0 { // grpc-go has none of its own
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		err := k(metadata.AppendToOutgoingContext(ctx, headerDo, do, headerID, id), c)
		if err != nil {
			return classOf(err)
		}
		return "OK"
	}
	connect := func(ctx context.Context) {
		for s := cc.GetState(); s != connectivity.Ready; s = cc.GetState() {
			cc.Connect()
			if !cc.WaitForStateChange(ctx, s) {
				return
			}
		}
	}
	return &client{call, connect, func() { _ = cc.Close() }}
}
