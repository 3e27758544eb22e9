// Hotreload edits the rules of its breakers while they are under load.
//
//	go run ./examples/hotreload
//
// A client calls two operations of one backend: /orders always fails, and /users
// never. Their breakers have the rules of a file, a copy of rules.yaml. The
// program writes other rules into it, one after the other, and prints what each
// of them changes: first nothing is rejected, then calls of /orders are; a
// mistake changes nothing and is told; another algorithm begins; and a breaker is
// switched off.
//
// It ends after a few seconds. The exit code is 0 if each edit did what it should
// have, 1 if not, 2 for a wrong flag, and 130 after an interrupt.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	khttp "github.com/go-kratos/kratos/v2/transport/http"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // so that a second interrupt kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

//go:embed rules.yaml
var firstRules string

const patience = 10 * time.Second // with a machine that has other things to do

// edit is a change of the file.
type edit struct {
	what  string
	from  string // the text to replace, and with what
	to    string
	holds func(before, after status) bool // what it should lead to
}

// status is what the program looks at after each edit.
type status struct {
	orders  breaker.Snapshot
	reloads config.Reloads
}

var edits = []edit{
	{
		what:  "dry-run: count, and reject nothing",
		holds: func(_, s status) bool { return s.orders.Totals.Rejected == 0 && s.orders.Totals.WouldReject > 0 },
	},
	{
		what: "auto: the breaker decides", from: "mode: dry-run", to: "mode: auto",
		holds: func(before, s status) bool { return s.orders.Totals.Rejected > before.orders.Totals.Rejected },
	},
	{
		what: "a mistake", from: "success: 0.9", to: "success: 9",
		holds: func(before, s status) bool {
			return s.reloads.Rejected == 1 && s.orders.Rule == before.orders.Rule && s.orders.Totals.Rejected > before.orders.Totals.Rejected
		},
	},
	{
		what: "mended, and another algorithm", from: "success: 9}", to: "success: 0.9}\n  - match: /orders\n    algorithm: circuit",
		holds: func(_, s status) bool {
			return s.orders.State == breaker.Open && s.orders.Rule == "rules[1] /orders (circuit)"
		},
	},
	{
		what: "off: allow all", from: "algorithm: circuit", to: "algorithm: off",
		holds: func(_, s status) bool {
			return s.orders.State == breaker.Closed && s.orders.Rule == "rules[1] /orders (off)"
		},
	},
}

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("hotreload", flag.ContinueOnError)
	flags.SetOutput(stderr)
	step := flags.Duration("step", 800*time.Millisecond, "time from edit to edit, in [500ms, 1m]")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *step < 500*time.Millisecond || *step > time.Minute || flags.NArg() > 0:
		fmt.Fprintln(stderr, "hotreload: want nothing but -step, in [500ms, 1m]")
		return 2
	}
	failed, err := show(ctx, *step, &printer{w: stdout, began: time.Now()})
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "hotreload: interrupted")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "hotreload:", err)
		return 1
	case len(failed) > 0:
		fmt.Fprintln(stderr, "hotreload: these did not do what they should:", strings.Join(failed, "; "))
		return 1
	}
	return 0
}

// show makes the edits under load, and returns those that did not work.
func show(ctx context.Context, step time.Duration, p *printer) (failed []string, err error) {
	dir, err := os.MkdirTemp("", "hotreload")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path, text := filepath.Join(dir, "rules.yaml"), firstRules
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}

	rules, err := config.Load(config.File(path), config.WithReport(p.report), config.WithInterval(50*time.Millisecond))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { rules.Follow(ctx) })
	running.Go(func() { load(ctx, rules) })

	var before status
	for i, e := range edits {
		p.printf("%s", e.what)
		text = strings.Replace(text, e.from, e.to, 1)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		var now status
		ok := false
		for began := time.Now(); time.Since(began) < step || !ok && time.Since(began) < step+patience; {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return nil, nil
			}
			now = status{orders: rules.Breaker("http", "/orders").Snapshot(), reloads: rules.Reloads()}
			ok = int(p.reports.Load()) == i && e.holds(before, now)
		}
		t, was := now.orders.Totals, before.orders.Totals
		p.printf("    /orders: %d of %d calls rejected, %v, %s",
			t.Rejected-was.Rejected, t.Offered-was.Offered, now.orders.State, now.orders.Rule)
		if !ok {
			failed = append(failed, e.what)
		}
		before = now
	}
	return failed, nil
}

// load calls both operations until ctx is done.
func load(ctx context.Context, rules breaker.Rules) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/orders" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	defer backend.Close()
	client, err := khttp.NewClient(ctx, khttp.WithEndpoint(backend.URL),
		khttp.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithRules(rules))))
	if err != nil {
		panic(err) // the address of a test server is a good one
	}
	defer func() { _ = client.Close() }()
	for ctx.Err() == nil {
		_ = client.Invoke(ctx, "GET", "/orders", nil, nil)
		_ = client.Invoke(ctx, "GET", "/users", nil, &struct{}{})
		time.Sleep(time.Millisecond)
	}
}

// printer prints with the time. It is called from several goroutines.
type printer struct {
	mu      sync.Mutex
	w       io.Writer
	began   time.Time
	reports atomic.Int64
}

func (p *printer) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%5.2f s  %s\n", time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}

// report prints what a change of the file came to.
func (p *printer) report(r config.Report) {
	defer p.reports.Add(1)
	if r.Err != nil {
		lines := strings.Split(r.Err.Error(), "\n")
		p.printf("    not in force: %s", lines[len(lines)-1])
		return
	}
	for _, c := range r.Changes {
		p.printf("    %s: %s %s", c.Key, c.To.Rule, c.To.Settings)
	}
}
