package group_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker/group"
)

// model is what a group is to one goroutine, done without any care for speed:
// a map, and a round over it when a new key comes and the last round is at
// least the idle time ago.
type model struct {
	limit     int
	idle      time.Duration
	nextRound time.Time
	entries   map[string]*modelEntry
	overflow  *item
	overflows uint64
}

type modelEntry struct {
	value     *item
	asked     time.Time
	untouched bool // by any Get since the last round
}

// get says which value a Get of key must return, nil for a new one.
func (m *model) get(key string) (want *item, beyond bool) {
	if e := m.entries[key]; e != nil {
		return e.value, false
	}
	if now := time.Now(); !now.Before(m.nextRound) {
		m.nextRound = now.Add(m.idle)
		maps.DeleteFunc(m.entries, func(_ string, e *modelEntry) bool {
			evict := e.untouched && e.value.Idle()
			e.untouched = true
			return evict
		})
	}
	if len(m.entries) < m.limit {
		return nil, false
	}
	m.overflows++
	return m.overflow, true
}

func (m *model) got(key string, v *item, beyond bool) {
	if beyond {
		m.overflow = v
	} else {
		m.entries[key] = &modelEntry{value: v, asked: time.Now()}
	}
}

func (m *model) clear() {
	m.entries = make(map[string]*modelEntry)
	m.overflow = nil
}

func TestProperty_AGroupIsAMapWithALimitThatForgetsWhatIsIdle(t *testing.T) {
	for range 10 { // it is quick
		synctest.Test(t, propertyOfAGroup)
	}
}

func propertyOfAGroup(t *testing.T) {
	// Rapid asks a *testing.T for its deadline, which the bubble forbids. All
	// steps together must not take rapid's own 24 h.
	rapid.Check(struct{ *testing.T }{t}, func(t *rapid.T) {
		m := &model{
			limit: rapid.IntRange(1, 12).Draw(t, "limit"),
			idle:  time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Second)).Draw(t, "idle")),
		}
		m.nextRound = time.Now().Add(m.idle)
		m.clear()
		generation := "0"
		serial := 0
		makeIn := func(generation string) func() *item {
			return func() *item {
				serial++
				return &item{key: generation}
			}
		}
		g := group.NewGroup(makeIn(generation), group.WithLimit(m.limit), group.WithIdle(m.idle))
		keys := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(0, 19).Draw(t, "key")) })

		t.Repeat(map[string]func(*rapid.T){
			"Get": func(t *rapid.T) {
				key := keys.Draw(t, "key")
				before := m.entries[key]
				want, beyond := m.get(key)
				made := serial
				v := g.Get(key)
				if want == nil {
					require.Equal(t, made+1, serial, "the factory is called once")
					require.Equal(t, generation, v.key, "the factory is the last one")
					for _, e := range m.entries {
						require.NotSame(t, e.value, v)
					}
				} else {
					require.Equal(t, made, serial, "the factory is not called")
					require.Same(t, want, v)
				}
				if before != nil && time.Since(before.asked) < m.idle {
					require.Same(t, before.value, v, "a value that was asked for within the idle time stays")
				}
				m.got(key, v, beyond)
			},
			"step": func(t *rapid.T) {
				// Shares of the idle time, and now and then its very edge.
				part := rapid.SampledFrom([]float64{0.1, 0.5, 0.99, 1, 1.01, 2, 5}).Draw(t, "part")
				time.Sleep(time.Duration(part * float64(m.idle)))
			},
			"busy": func(t *rapid.T) {
				if e := m.entries[keys.Draw(t, "key")]; e != nil {
					e.value.busy.Store(rapid.Bool().Draw(t, "busy"))
				}
			},
			"Clear": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "rarely") == 0 {
					g.Clear()
					m.clear()
				}
			},
			"Reconfigure": func(t *rapid.T) {
				if rapid.IntRange(0, 2).Draw(t, "rarely") != 0 {
					return
				}
				m.limit = rapid.IntRange(1, 12).Draw(t, "limit")
				if was := m.idle; rapid.Bool().Draw(t, "another time") {
					m.idle = time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Second)).Draw(t, "idle"))
					if m.idle != was {
						m.nextRound = time.Now().Add(m.idle)
					}
				}
				g.Reconfigure(group.WithLimit(m.limit), group.WithIdle(m.idle))
			},
			"Reset": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "rarely") == 0 {
					generation = fmt.Sprint(serial, " ", m.overflows, " ", time.Now())
					g.Reset(makeIn(generation))
					m.clear()
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(m.entries), g.Len())
				require.Equal(t, m.overflows, g.Overflows())
				overflow, ok := g.Overflow()
				require.Equal(t, m.overflow != nil, ok)
				require.Same(t, m.overflow, overflow)
				all := make(map[string]*item)
				for key, v := range g.All() {
					require.NotContains(t, all, key)
					all[key] = v
				}
				require.Len(t, all, len(m.entries))
				for key, e := range m.entries {
					require.Same(t, e.value, all[key])
				}
			},
		})
	})
}
