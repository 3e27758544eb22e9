package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"time"
)

// phase is what the backend goes through.
type phase int

const (
	healthy phase = iota
	badGateway
	slow
	refused
	healed
	partial
	phases // how many there are
)

// outage reports whether the backend is dead in this phase.
func (p phase) outage() bool { return p > healthy && p < healed }

func (p phase) String() string {
	return [...]string{"healthy", "502s", "slow", "refused", "healed", "partial"}[p]
}

// about says what the backend does.
func (p phase) about() string {
	return [...]string{
		"the backend answers",
		"dead behind a proxy: HTTP 502, gRPC Unavailable",
		"it answers later than the clients wait",
		"nobody listens on its ports",
		"it answers again",
		"one of its two nodes refuses connections",
	}[p]
}

// share is the phase's part of the whole, in thousandths.
func (p phase) share() time.Duration {
	return [...]time.Duration{80, 120, 70, 70, 510, 150}[p]
}

// plan is how long the program runs and how much it calls, and where the page is.
type plan struct {
	total time.Duration
	rps   float64
	seed  uint64
	hold  bool
	addr  string // "" for no page
	// anyPort says that nobody asked for the port of addr.
	anyPort bool
}

const defaultAddr = "127.0.0.1:8099"

// standard is the duration from which on both breakers have their defaults. In a
// shorter run the window of Kratos' breaker is shorter too, or it would have no
// time to recover. The breaker of this module always has its defaults.
const (
	standard        = 38 * time.Second // 40 with the start and the last calls
	standardWindow  = 3 * time.Second
	standardRequest = 100
)

// timeout is how long the clients wait for an answer, which takes usual. Both are the
// same for every duration, for a busy machine needs the time between them.
const (
	timeout = 500 * time.Millisecond
	usual   = 200 * time.Millisecond
)

const (
	minTotal, maxTotal = 6 * time.Second, 5 * time.Minute
	minRPS, maxRPS     = 50, 500
)

// parse reads the flags. It has told stderr about the error that it returns.
func parse(args []string, stderr io.Writer) (plan, error) {
	var p plan
	flags := flag.NewFlagSet("outage", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&p.total, "duration", standard,
		fmt.Sprintf("how long it takes in all, in [%v, %v]", minTotal, maxTotal))
	flags.Float64Var(&p.rps, "rps", 200, fmt.Sprintf("calls per second of each client, in [%d, %d]", minRPS, maxRPS))
	flags.Uint64Var(&p.seed, "seed", 1, "makes the moments of the calls")
	flags.BoolVar(&p.hold, "hold", false, "go on after the end, until an interrupt")
	flags.StringVar(&p.addr, "addr", defaultAddr,
		"where the page is, on loopback; empty for no page. If nobody says, another port may have to do")
	if err := flags.Parse(args); err != nil {
		return plan{}, err
	}
	p.anyPort = true
	flags.Visit(func(f *flag.Flag) { p.anyPort = p.anyPort && f.Name != "addr" })
	err := p.check()
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("%s: want nothing but flags", flags.Arg(0))
	}
	if err != nil {
		complain(stderr, err)
	}
	return p, err
}

func (p plan) check() error {
	switch {
	case p.total < minTotal || p.total > maxTotal:
		return fmt.Errorf("-duration %v: want a duration in [%v, %v]", p.total, minTotal, maxTotal)
	case math.IsNaN(p.rps) || p.rps < minRPS || p.rps > maxRPS:
		return fmt.Errorf("-rps %v: want calls per second in [%d, %d]", p.rps, minRPS, maxRPS)
	case !isLoopback(p.addr):
		return fmt.Errorf("-addr %s: want an address on loopback with a port, as %s", p.addr, defaultAddr)
	}
	return nil
}

// isLoopback reports whether strangers cannot come to addr: everybody who can
// may press the buttons.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return addr == "" || err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// isStandard reports whether Kratos' breaker has its defaults, too.
func (p plan) isStandard() bool { return p.total >= standard }

func (p plan) scale() float64 { return min(1, p.total.Seconds()/standard.Seconds()) }

// window is that of Kratos' breaker.
func (p plan) window() time.Duration {
	return time.Duration(float64(standardWindow) * p.scale()).Round(time.Millisecond)
}

// request goes with the window, whose calls become fewer as it gets shorter.
func (p plan) request() int64 { return int64(math.Round(standardRequest * p.scale())) }

func (p plan) length(ph phase) time.Duration { return p.total * ph.share() / 1000 }

// begin returns when a phase begins, from the beginning of the load.
func (p plan) begin(ph phase) (t time.Duration) {
	for i := range ph {
		t += p.length(i)
	}
	return t
}
