package group_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// item is a value that can be told from every other one.
type item struct {
	key  string
	busy atomic.Bool
}

// Idle makes an item one that may be evicted unless it is busy.
func (i *item) Idle() bool { return !i.busy.Load() }

// stone is a value that does not say whether it is idle.
type stone struct{ _ byte }

// maker counts the calls of its factory.
type maker struct{ calls atomic.Int64 }

func (m *maker) item() *item { return m.keyed("") }

func (m *maker) keyed(key string) *item {
	m.calls.Add(1)
	return &item{key: key}
}

// patience is how long a test waits for what must not hang.
const patience = 20 * time.Second

// returns fails the test if f hangs.
func returns(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	waitFor(t, done)
}

func waitFor(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		require.FailNow(t, "it hangs")
	}
}
