package faults_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-kratos/kratos/v2/transport"
	kratosgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// instance is a server of Kratos on a socket that others had before.
type instance struct {
	transport.Server
	listener *share
	ended    chan error
}

func startKratos(l *share, srv transport.Server) *instance {
	i := &instance{srv, l, make(chan error, 1)}
	go func() { i.ended <- srv.Start(context.Background()) }()
	return i
}

func kratosHTTPServer(s *socket) *instance {
	l := s.share()
	srv := kratoshttp.NewServer(kratoshttp.Listener(l), kratoshttp.Timeout(0))
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	srv.Handle("/call", newBackend())
	return startKratos(l, srv)
}

func kratosGRPCServer(s *socket) *instance {
	l := s.share()
	srv := kratosgrpc.NewServer(kratosgrpc.Listener(l), kratosgrpc.Timeout(0))
	testgrpc.RegisterTestServiceServer(srv, newBackend())
	return startKratos(l, srv)
}

// The servers of transport/http and transport/grpc are restarted in tests there.
// These are those of Kratos, stopped by their own Stop. docs/faults.md says why
// HTTP has to take the server out of the choice before, why HTTP/1.1 has no POST
// here, and gRPC no health check.
func TestRestart_OfKratosServersUnderLoadIsNoFailure(t *testing.T) {
	const callers, restarts, calls = 8, 3, 20 // calls of each caller between two restarts
	for _, row := range []struct {
		name  string
		start func(*socket) *instance
		drain bool
		call  func(n *network, to target, b breakers) *client
	}{
		{"HTTP/1.1 GET", kratosHTTPServer, true, func(n *network, to target, b breakers) *client {
			return newKratosHTTP(n.transport(false), to, http.MethodGet, circuitbreaker.Client(circuitbreaker.WithGroup(b)))
		}},
		{"HTTP/2 POST", kratosHTTPServer, true, func(n *network, to target, b breakers) *client { return kratosHTTP(true)(n, b)(to) }},
		{"gRPC", kratosGRPCServer, false, func(n *network, to target, b breakers) *client {
			return newGRPC(dialKratosGRPC(n, to, kratosgrpc.WithHealthCheck(false),
				kratosgrpc.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithGroup(b)))), unary, 0)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, n, b := newSocket(t), newNetwork(""), sre.NewBreaker()
			c := row.call(n, target{address: s.Addr().String()}, single(b))
			server := row.start(s)

			var load sync.WaitGroup
			var over atomic.Bool
			var done [callers]atomic.Uint64
			for i := range done {
				load.Go(func() {
					for !over.Load() {
						if saw := c.call(t.Context(), wellDone, ""); saw != "200" && saw != "OK" {
							t.Error(saw)
						}
						done[i].Add(1)
					}
				})
			}
			more := func(calls uint64) {
				for i := range done {
					enough := done[i].Load() + calls
					eventually(t, "the callers call", func() bool { return done[i].Load() >= enough })
				}
			}
			for range restarts {
				more(calls)
				old := server
				server = row.start(s)
				if row.drain {
					require.NoError(t, old.listener.Close())
					more(2) // none has a connection to the old one now that it has not used yet
				}
				stop(t, old)
			}
			more(calls)
			over.Store(true)
			load.Wait()
			var all uint64
			for i := range done {
				all += done[i].Load()
			}
			breakertest.RequireTotals(t, b, breaker.Totals{Success: all})
			c.close()
			stop(t, server)
		})
	}
}
