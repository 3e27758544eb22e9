// Threestate walks a breaker through its three states, under the eyes of one
// client that calls a failing HTTP server.
//
//	go run ./examples/threestate
//
// The server answers ten calls, and then fails. The breaker opens by a rule of
// its user's, probes in vain, opens again, probes a server that was repaired
// meanwhile, and closes. Each change of its state is printed with its cause, and
// each call with what it got.
//
// The exit code is 0 if the walk was that one, 1 if not, 2 for a wrong flag, and
// 130 after an interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // so that a second interrupt kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const maxCalls = 100 // the walk takes about 80

// The walk of a breaker whose first probe fails.
var walk = []breaker.State{breaker.Open, breaker.HalfOpen, breaker.Open, breaker.HalfOpen, breaker.Closed}

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("threestate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	interval := flags.Duration("interval", 100*time.Millisecond, "time from call to call, in [1ms, 1s]")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *interval < time.Millisecond || *interval > time.Second || flags.NArg() > 0:
		fmt.Fprintln(stderr, "threestate: want nothing but -interval, in [1ms, 1s]")
		return 2
	}

	s := newServer(10)
	defer s.Close()
	defer s.Client().CloseIdleConnections()
	began, states := time.Now(), []breaker.State(nil)
	say := func(format string, args ...any) {
		fmt.Fprintf(stdout, "%6.2f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	b := newBreaker(*interval, func(e breaker.Event) {
		say("%v -> %v: %s", e.From, e.To, e.Cause)
		if states = append(states, e.To); len(states) == 3 {
			s.repaired.Store(true)
			say("now the server is repaired")
		}
	})
	tick := time.NewTicker(*interval)
	defer tick.Stop()
	for call, more := 1, 3; call <= maxCalls && more > 0; call++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			fmt.Fprintln(stderr, "threestate: interrupted")
			return 130
		}
		say("call %2d: %s", call, got(breaker.Run(ctx, b, s.get)))
		if len(states) >= len(walk) {
			more-- // some calls after the walk
		}
	}
	if !slices.Equal(states, walk) {
		fmt.Fprintf(stderr, "threestate: after closed came %v, want %v\n", states, walk)
		return 1
	}
	return 0
}

// newBreaker returns a breaker for calls that come at the interval.
func newBreaker(interval time.Duration, changed breaker.Listener) *circuit.Breaker {
	return circuit.NewBreaker(
		circuit.WithName("greeter"),
		circuit.WithProbes(3, 3),
		circuit.WithDelay(30*interval),
		circuit.WithOpenWhen(10*interval, func(c circuit.Counts) bool {
			return c.ConsecutiveFailures > 3 && 10*c.Failure > 6*(c.Success+c.Failure)
		}),
		circuit.WithListener(changed),
	)
}

// got says what a call got.
func got(err error) string {
	var rejected *breaker.RejectedError
	switch {
	case errors.As(err, &rejected):
		return fmt.Sprintf("rejected (%v), retry after %.2f s", rejected.Reason(), rejected.RetryAfter().Seconds())
	case err != nil:
		return err.Error()
	}
	return "200 OK"
}

// server is an HTTP server that fails after some calls until it is repaired.
type server struct {
	*httptest.Server
	healthy  atomic.Int64 // so many calls more
	repaired atomic.Bool
}

func newServer(healthy int64) *server {
	s := &server{}
	s.healthy.Store(healthy)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.healthy.Add(-1) < 0 && !s.repaired.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	return s
}

// get is one call. The breaker knows nothing of HTTP: what is not an error is a
// success.
func (s *server) get(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return err
	}
	res, err := s.Client().Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	if err := res.Body.Close(); err != nil || res.StatusCode == http.StatusOK {
		return err
	}
	return errors.New(res.Status)
}
