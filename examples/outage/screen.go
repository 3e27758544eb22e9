package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// screen follows a load. On a terminal it draws the table of the phase in
// place, and leaves it there when the phase is over. Elsewhere it prints a line
// of progress now and then, and the table when the phase is over.
type screen struct {
	out  io.Writer
	live bool
	load *load

	next   phase         // the first whose table is not final
	height int           // lines that the next frame is drawn over
	due    time.Duration // when the next line of progress is
}

const refresh = 100 * time.Millisecond

func newScreen(out io.Writer, l *load) *screen {
	return &screen{out: out, live: isTerminal(out), load: l, due: time.Second}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// title says what is going to happen, and where the page is, or "".
func (s *screen) title(page string) {
	p := s.load.plan
	if page != "" {
		s.printf("The breakers, live: %s\n\n", page)
	}
	s.printf("%v with an outage in it: %v calls/s from each client, timeout %v.\n", p.total, p.rps, timeout)
	s.printf("  none     no breaker\n")
	s.printf("  kratos   github.com/go-kratos/kratos/v2/middleware/circuitbreaker (no state)\n")
	s.printf("  breaker  github.com/kratos-breaker/breaker/middleware/circuitbreaker\n")
	if p.isStandard() {
		s.printf("Both breakers have their defaults.\n\n")
		return
	}
	s.printf("Breaker has its defaults. To fit in here, kratos has a window of %v and judges from %d calls on.\n\n",
		p.window(), p.request())
}

// byHand says how it goes on.
func (s *screen) byHand(page string) {
	if page != "" {
		s.printf("\nThe load goes on, and the backend does what you say: %s\n", page)
	}
	s.printf("Interrupt the program to end it.\n")
}

// printf ignores errors: who closed the output does not want to read of it.
func (s *screen) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

// follow returns what the load returned.
func (s *screen) follow(done <-chan error) error {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			s.finish()
			return err
		case <-tick.C:
			s.update()
		}
	}
}

func (s *screen) update() {
	for s.load.over(s.next) {
		s.leave(s.table(s.next))
		s.next++
	}
	switch elapsed := s.load.elapsed().Round(refresh); {
	case s.next == phases:
	case s.live:
		s.draw(s.heading(s.next, bar(s.part(s.next))) + s.rows(s.next))
	case elapsed >= s.due && s.next >= s.load.reached():
		s.progress(elapsed)
		s.due = elapsed.Truncate(time.Second) + time.Second
	}
}

// finish leaves the tables that are not there yet.
func (s *screen) finish() {
	for ; s.next < s.load.reached(); s.next++ {
		s.leave(s.table(s.next))
	}
	if s.next < phases {
		s.leave(s.heading(s.next, "cut short") + s.rows(s.next))
	}
}

const (
	cursorUp  = "\r\x1b[%dA"
	clearLine = "\x1b[K" // from the cursor on
	clearRest = "\x1b[J"
	noWrap    = "\x1b[?7l"
	wrap      = "\x1b[?7h"
)

// draw draws a frame over the last one.
func (s *screen) draw(frame string) {
	// A wrapped line would be two on the screen, and the next frame too low.
	s.over(noWrap + frame + wrap)
	s.height = strings.Count(frame, "\n")
}

// leave prints a block over the last frame, for good.
func (s *screen) leave(block string) {
	s.over(block + "\n")
	s.height = 0
}

// over writes all at once, lest it flickers.
func (s *screen) over(text string) {
	if s.live {
		text = strings.ReplaceAll(text, "\n", clearLine+"\n") + clearRest
	}
	if s.height > 0 {
		text = fmt.Sprintf(cursorUp, s.height) + text
	}
	s.printf("%s", text)
}

func (s *screen) progress(elapsed time.Duration) {
	s.printf("%5.1f s  %-7s %3.0f %%   breaker: HTTP %-20s   gRPC %s\n",
		elapsed.Seconds(), s.next, 100*s.part(s.next),
		s.load.client(overHTTP, ours).state(), s.load.client(overGRPC, ours).state())
}

// part returns how much of a phase is over, in [0, 1].
func (s *screen) part(p phase) float64 {
	in := s.load.elapsed() - s.load.plan.begin(p)
	return max(0, min(in.Seconds()/s.load.plan.length(p).Seconds(), 1))
}

func bar(part float64) string {
	const width = 10
	n := int(part * width)
	return "[" + strings.Repeat("=", n) + strings.Repeat(" ", width-n) + fmt.Sprintf("] %3.0f %%", 100*part)
}

func (s *screen) table(p phase) string {
	return s.heading(p, fmt.Sprintf("%.1f s", s.load.plan.length(p).Seconds())) + s.rows(p)
}

func (s *screen) heading(p phase, progress string) string {
	return fmt.Sprintf("%d/%d %-7s  %s  %s\n", p+1, phases, p, progress, p.about())
}

func (s *screen) rows(p phase) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-4s %-8s %7s %7s %7s %8s %8s  %s\n",
		"", "", "offered", "allowed", "failed", "rejected", "p99", "state")
	for i, c := range s.load.clients {
		n := c.tally.of(p)
		fmt.Fprintf(&b, "  %-4s %-8s %7d %7d %7d %8d %8s  %s\n", s.label(i), c.name,
			n.offered, n.allowed(), n.ended[failed], n.ended[rejected], millis(n.took.quantile(0.99)), s.load.state(i, p))
	}
	return b.String()
}

// label returns the transport of the i-th client if it is the first of it.
func (s *screen) label(i int) string {
	clients := s.load.clients
	if i > 0 && clients[i-1].transport == clients[i].transport {
		return ""
	}
	return clients[i].transport
}

// millis writes three digits, which is what the histogram is good for.
func millis(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	ms := d.Seconds() * 1000
	digits := max(0, 3-len(fmt.Sprintf("%.0f", ms)))
	return fmt.Sprintf("%.*f ms", digits, ms)
}
