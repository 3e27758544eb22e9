// Package protocols_test runs the adapters under what is not Kratos: the interop client
// of grpc-go, Connect over HTTP/1.1 and HTTP/2, the HTTP/2 of golang.org/x/net, and
// go-kit.
package protocols_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func single[B any](b B) *group.Group[B] { return group.NewGroup(func() B { return b }) }

// recorder hands out permits and writes down how they were settled.
type recorder struct{ results chan breaker.Result }

func newRecorder() *recorder { return &recorder{make(chan breaker.Result, 1000)} }

func (r *recorder) Acquire() (breaker.Permit, error) {
	return breaker.NewPermit(r, breaker.Ticket{}), nil
}

func (r *recorder) Settle(t breaker.Ticket, o breaker.Outcome) {
	r.SettleResult(t, breaker.Result{Outcome: o})
}
func (r *recorder) SettleResult(_ breaker.Ticket, result breaker.Result) { r.results <- result }
func (*recorder) Allow() error                                           { panic("Allow was called") }
func (*recorder) MarkSuccess()                                           { panic("MarkSuccess was called") }
func (*recorder) MarkFailed()                                            { panic("MarkFailed was called") }

// version is a version of HTTP.
type version struct {
	name  string
	serve func(t *testing.T, h http.Handler) (base *http.Transport, url string)
}

var versions = []version{
	{"HTTP/1.1", func(t *testing.T, h http.Handler) (*http.Transport, string) {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		base := &http.Transport{}
		t.Cleanup(base.CloseIdleConnections)
		return base, s.URL
	}},
	{"h2c", func(t *testing.T, h http.Handler) (*http.Transport, string) {
		var clear http.Protocols
		clear.SetUnencryptedHTTP2(true)
		s := httptest.NewUnstartedServer(h)
		s.Config.Protocols = &clear
		s.Start()
		t.Cleanup(s.Close)
		base := &http.Transport{Protocols: &clear}
		t.Cleanup(base.CloseIdleConnections)
		return base, s.URL
	}},
}
