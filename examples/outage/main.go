// Outage breaks a backend and heals it again, under the eyes of three Kratos
// clients per transport that offer the same load: one without a breaker, one
// with Kratos' own, and one with the breaker of this module.
//
//	go run ./examples/outage
//	go run ./examples/outage -duration 10s
//	go run ./examples/outage -hold
//
// The backend is two nodes, each a Kratos HTTP server and a Kratos gRPC server on loopback. It
// is healthy, then answers 502 as a proxy does whose upstream is dead, then
// hangs, then refuses connections, then is healthy again; at last, one of its two nodes
// refuses connections, within a millisecond, and the other one takes its time. A table follows the
// clients through it, in place on a terminal. At the end the program sums up
// what the outage cost each of them, and what each got of the node that was left, and checks
// what it claims.
//
// Meanwhile a page shows the breakers of this module, at the address that is
// printed first. Its buttons break and heal the backend by hand: that ends the
// planned outage, and no claim is checked. With -hold the load and the page go on
// after the end. Both go on until an interrupt.
//
// The exit code is 0 if every claim held, 1 if one did not or the program could
// not run, 2 for a wrong flag, and 130 after an interrupt that came before the
// claims were checked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/go-kratos/kratos/v2/log"
	"google.golang.org/grpc/grpclog"

	"github.com/kratos-breaker/breaker/dashboard"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // so that a second interrupt kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// run is the program. It returns the exit code when ctx is done, at the latest.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	switch err := show(ctx, p, stdout); {
	case errors.Is(err, context.Canceled):
		complain(stderr, "interrupted, no claim was checked")
		return exitInterrupted
	case err != nil:
		complain(stderr, err)
		return exitFailed
	}
	return exitOK
}

func complain(stderr io.Writer, what any) { _, _ = fmt.Fprintln(stderr, "outage:", what) }

var (
	errClaims  = errors.New("not every claim held")
	errStarved = errors.New("not every claim held, and calls timed out that were answered in time: " +
		"this machine is too busy now")
)

// show runs the load through the outage. The error is nil if every claim held.
func show(ctx context.Context, p plan, stdout io.Writer) error {
	b, err := newBackend()
	if err != nil {
		return err
	}
	defer b.stop()
	transitions := dashboard.NewLog(256)
	clients, err := newClients(p, b, transitions)
	if err != nil {
		return err
	}
	defer closeAll(clients)

	l := newLoad(p, b, clients)
	url, closePage, err := servePage(p, l, transitions)
	if err != nil {
		return err
	}
	defer closePage()
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	s := newScreen(stdout, l)
	s.title(url)
	err = s.follow(done)
	if l.reached() > healthy {
		s.summary()
	}
	if errors.Is(err, errByHand) {
		s.byHand(url)
		return l.byHand(ctx)
	}
	if err == nil {
		err = verdict(s)
		if p.hold {
			s.byHand(url)
			return errors.Join(err, afterInterrupt(l.byHand(ctx)))
		}
	}
	return err
}

// verdict checks the claims. The error is nil if every one held.
func verdict(s *screen) error {
	switch {
	case s.check(claims(s.load)):
		return nil
	case s.load.starved():
		return errStarved
	}
	return errClaims
}

// afterInterrupt makes an interrupt the end of a program that has done all.
func afterInterrupt(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// The libraries shall not write between the lines of the table. Their loggers
// may only be set before anything else runs.
func init() {
	log.SetLogger(log.NewStdLogger(io.Discard))
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}
