package breakertest

import (
	"reflect"
	"runtime"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// costs are the checks of what a breaker takes and leaves behind. In a bubble,
// they would measure the bubble.
func (k Kind) costs(t *testing.T) {
	if !k.Allocates {
		t.Run("calls of a closed breaker and rejections allocate nothing", func(t *testing.T) {
			closed, open := k.New(""), k.tripped()
			for name, f := range map[string]func(){
				"success": func() { call(closed, breaker.Success) },
				"ignored": func() { call(closed, breaker.Ignored) },
				"mark": func() {
					_ = closed.Allow()
					closed.MarkSuccess()
				},
				"rejected": func() { call(open, breaker.Failure) },
				"marked": func() {
					_ = open.Allow()
					open.MarkFailed()
				},
			} {
				require.Zero(t, testing.AllocsPerRun(1000, f), name)
			}
			require.Greater(t, open.Snapshot().Totals.Rejected, uint64(1500))
		})
	}

	// A timer, or a goroutine, would hold it.
	t.Run("nothing holds a breaker that nobody uses", func(t *testing.T) {
		b := k.used()
		for range 10 {
			if b.Value() == nil {
				return
			}
			runtime.GC()
		}
		t.Fatal("it is not garbage")
	})
}

// used returns what becomes of a breaker with an outage behind it.
//
//go:noinline
func (k Kind) used() weak.Pointer[byte] {
	b := k.tripped()
	for range 3 * Slots {
		p, err := b.Acquire()
		if err == nil {
			defer p.Done(breaker.Success)
		}
	}
	if c, ok := b.(breaker.Controller); ok {
		c.SetModeFor(breaker.DryRun, 1<<62)
		call(b, breaker.Success)
	}
	return weak.Make((*byte)(reflect.ValueOf(b).UnsafePointer()))
}
