package scoreboard

import (
	"fmt"
	"strings"
	"time"
)

// String writes the world in a line.
func (w *world) String() string {
	var b strings.Builder
	switch {
	case w.workers > 0:
		fmt.Fprintf(&b, "%d workers thinking %v", w.workers, w.think)
		if w.hold != (distribution{}) {
			fmt.Fprintf(&b, ", long polls of %v", w.hold)
		}
	default:
		fmt.Fprintf(&b, "%.3g/s", w.rate)
		if w.regular {
			b.WriteString(" regular")
		}
	}
	if w.clients > 1 {
		fmt.Fprintf(&b, " of %d clients", w.clients)
	}
	if w.wave.off > 0 {
		fmt.Fprintf(&b, " on/off %v/%v", w.wave.on, w.wave.off)
	}
	if w.wave.period > 0 {
		fmt.Fprintf(&b, " ±%.0f %% in %v", 100*w.wave.swing, w.wave.period)
	}
	fmt.Fprintf(&b, "; successes take %v, failures %v, timeout %v", w.good, w.failure(), w.load().timeout)
	if w.retries > 0 {
		fmt.Fprintf(&b, "; %d retries after %v", w.retries, w.delay)
	}
	if w.patience > 0 {
		fmt.Fprintf(&b, "; cancelled after %v", w.patience)
	}
	for i, f := range w.faults {
		sep := " → "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + f.String())
	}
	return b.String()
}

// String writes the fault with its length.
func (f fault) String() string {
	return f.what() + " " + f.length.String()
}

func (f fault) what() string {
	switch f.kind {
	case well:
		return "well"
	case refusing:
		return "dead"
	case hanging:
		return "hang"
	case failing:
		return fmt.Sprintf("%.0f %% fail", 100*f.share)
	case losing:
		return fmt.Sprintf("%d of %d nodes dead", f.dead, f.nodes)
	case losingSlowly:
		return fmt.Sprintf("%d of %d nodes hang", f.dead, f.nodes)
	case limiting:
		return fmt.Sprintf("limit %.3g/s burst %.3g", f.capacity, f.burst)
	case queueing:
		return fmt.Sprintf("queue %.3g/s, %d servers", f.capacity, f.servers)
	case flapping:
		return fmt.Sprintf("flap %v up, %v down", f.up.Round(time.Millisecond), f.down.Round(time.Millisecond))
	case warming:
		return fmt.Sprintf("warm from %.0f %% of %.3g/s, burst %.3g", 100*f.share, f.capacity, f.burst)
	case slowing:
		return fmt.Sprintf("%.2g× as slow", f.factor)
	case pausing:
		return "we pause"
	case cutting:
		return "connection cut, then well"
	}
	return "?"
}
