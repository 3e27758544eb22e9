package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/dashboard"
)

// servePage serves a page of the breakers of this module, with buttons for the
// backend, until stop is called. The url is "" if there is none.
func servePage(p plan, l *load, transitions *dashboard.Log) (url string, stop func(), err error) {
	if p.addr == "" {
		return "", func() {}, nil
	}
	listener, err := net.Listen("tcp", p.addr)
	if p.anyPort && errors.Is(err, syscall.EADDRINUSE) {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", nil, fmt.Errorf("the page: %w", err)
	}
	server := &http.Server{Handler: pageOf(l, transitions)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	stop = func() {
		_ = server.Close()
		<-served
	}
	return fmt.Sprintf("http://%s/", listener.Addr()), stop, nil
}

func pageOf(l *load, transitions *dashboard.Log) http.Handler {
	var sources []breaker.Source
	for _, c := range l.clients {
		if c.breakers != nil {
			sources = append(sources, breaker.SourceOf(c.breakers))
		}
	}
	button := func(name string, p phase) dashboard.Option {
		return dashboard.WithAction(name, func(ctx context.Context) error { return l.order(ctx, p) })
	}
	return dashboard.Handler(breaker.Sources(sources...),
		dashboard.WithTitle("outage"),
		dashboard.WithNote(func() string { return "backend: " + phase(l.backend.phase.Load()).String() }),
		dashboard.WithLog(transitions),
		// Whoever can come here is on this machine, and not a web site that says so.
		dashboard.WithAllowedHosts("127.0.0.1", "::1", "localhost"),
		dashboard.WithAdmin(func(*http.Request) error { return nil }),
		button("Break: 502", badGateway), button("Break: hang", slow), button("Break: refuse", refused),
		button("Break: one of two", partial),
		button("Heal", healed),
	)
}
