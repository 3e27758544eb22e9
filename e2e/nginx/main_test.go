// Package nginx_test puts Debian's nginx between clients and a backend, on loopback, and
// requires that what it makes of the backend's faults counts as the README says.
package nginx_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/go-kratos/kratos/v2/log"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

func TestMain(m *testing.M) {
	log.SetLogger(log.NewStdLogger(io.Discard))
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second

// readTimeout is how long nginx waits for the backend.
const readTimeout = 300 * time.Millisecond

var config = template.Must(template.New("nginx.conf").Parse(`{{if .Root}}user root;
{{end}}daemon off;
worker_processes 2;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/error.log;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	limit_req_zone all zone=busy:1m rate=1r/m;
	limit_req_zone all zone=down:1m rate=1r/m;
	limit_req_zone all zone=busygrpc:1m rate=1r/m;
	limit_req_zone all zone=downgrpc:1m rate=1r/m;
	upstream http { server {{.HTTPBackend}} max_fails=0; keepalive 16; }
	upstream grpc { server {{.GRPCBackend}} max_fails=0; keepalive 16; }
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_connect_timeout {{.Timeout}};
	proxy_read_timeout {{.Timeout}};
	grpc_connect_timeout {{.Timeout}};
	grpc_read_timeout {{.Timeout}};
	server {
		listen {{.HTTP}};
		location / { proxy_pass http://http; }
		location /busy { limit_req zone=busy; limit_req_status 429; proxy_pass http://http; }
		location /down { limit_req zone=down; limit_req_status 503; proxy_pass http://http; }
	}
	server {
		listen {{.GRPC}} http2;
		location / { grpc_pass grpc://grpc; }
		location /grpc.testing.TestService/UnaryCall { limit_req zone=busygrpc; limit_req_status 429; grpc_pass grpc://grpc; }
		location /grpc.testing.TestService/UnimplementedCall { limit_req zone=downgrpc; limit_req_status 503; grpc_pass grpc://grpc; }
	}
}
`))

// proxy is a running nginx, with a backend for HTTP and one for gRPC behind it.
type proxy struct {
	t    *testing.T
	conf string

	Dir                                  string
	Root                                 bool
	HTTP, GRPC, HTTPBackend, GRPCBackend string
	Timeout                              string

	stops []func() // of the backends, if they run

	mu   sync.Mutex
	hang chan struct{} // what answers wait for, if anything
}

// free returns an address that nobody has.
func free(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func start(t *testing.T) *proxy {
	binary, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("nginx is not installed, and CI needs it")
		}
		t.Skip("nginx is not installed")
	}
	p := &proxy{
		t: t, Dir: t.TempDir(), Root: os.Getuid() == 0, Timeout: fmt.Sprintf("%dms", readTimeout.Milliseconds()),
		HTTP: free(t), GRPC: free(t), HTTPBackend: free(t), GRPCBackend: free(t),
	}
	p.conf = filepath.Join(p.Dir, "nginx.conf")
	var text bytes.Buffer
	require.NoError(t, config.Execute(&text, p))
	require.NoError(t, os.WriteFile(p.conf, text.Bytes(), 0o600))
	nginx := exec.Command(binary, "-c", p.conf)
	var said bytes.Buffer
	nginx.Stdout, nginx.Stderr = &said, &said
	require.NoError(t, nginx.Start())
	t.Cleanup(func() {
		p.kill()
		_ = nginx.Process.Signal(os.Interrupt)
		_ = nginx.Wait()
	})
	for _, address := range []string{p.HTTP, p.GRPC} {
		require.Eventually(t, func() bool {
			c, err := net.Dial("tcp", address)
			if err == nil {
				_ = c.Close()
			}
			return err == nil
		}, patience, 10*time.Millisecond, "nginx does not listen: %s", &said)
	}
	p.revive()
	return p
}

// reload makes nginx take its configuration anew, with new workers.
func (p *proxy) reload() {
	out, err := exec.Command("nginx", "-c", p.conf, "-s", "reload").CombinedOutput()
	require.NoError(p.t, err, "%s", out)
}

// wait hangs as long as the backend shall.
func (p *proxy) wait(ctx context.Context) {
	p.mu.Lock()
	hang := p.hang
	p.mu.Unlock()
	if hang == nil {
		return
	}
	select {
	case <-hang:
	case <-ctx.Done():
	}
}

// hangs makes the backends hang, until the function that it returns is called.
func (p *proxy) hangs() (end func()) {
	hang := make(chan struct{})
	p.mu.Lock()
	p.hang = hang
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		p.hang = nil
		p.mu.Unlock()
		close(hang)
	}
}

// revive starts the backends.
func (p *proxy) revive() {
	forHTTP, err := net.Listen("tcp", p.HTTPBackend)
	require.NoError(p.t, err)
	forGRPC, err := net.Listen("tcp", p.GRPCBackend)
	require.NoError(p.t, err)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.wait(r.Context())
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	})}
	served := make(chan error, 2)
	go func() { served <- web.Serve(forHTTP) }()

	rpc := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(rpc, &service{TestServiceServer: interop.NewTestServer(), proxy: p})
	go func() { served <- rpc.Serve(forGRPC) }()
	p.stops = append(p.stops, func() {
		_ = web.Close()
		rpc.Stop()
		<-served
		<-served
	})
}

// kill stops the backends at once.
func (p *proxy) kill() {
	for _, stop := range p.stops {
		stop()
	}
	p.stops = nil
}

type service struct {
	testgrpc.TestServiceServer
	proxy *proxy
}

func (s *service) EmptyCall(ctx context.Context, _ *testgrpc.Empty) (*testgrpc.Empty, error) {
	s.proxy.wait(ctx)
	return new(testgrpc.Empty), nil
}

func (s *service) UnaryCall(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	return new(testgrpc.SimpleResponse), nil
}
