package dashboard

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kratos-breaker/breaker"
)

// Log holds the last transitions of breakers, so that the page misses none and
// knows those before it was opened. Make one with [NewLog], give its Listen to
// the breakers, which should have names, and the log to the page:
//
//	log := dashboard.NewLog(256)
//	breakers := group.NewKeyed(func(key string) *sre.Breaker {
//		return sre.NewBreaker(sre.WithName(key), sre.WithListener(log.Listen))
//	})
//	mux.Handle("/debug/breakers/", dashboard.Handler(breaker.SourceOf(breakers), dashboard.WithLog(log)))
//
// All methods are safe for concurrent use.
type Log struct {
	epoch string // of this log, so that a browser notices another one

	mu   sync.Mutex
	ring []event
	next uint64 // how many events there have been
}

type event struct {
	Name  string        `json:"name"`
	From  breaker.State `json:"from"`
	To    breaker.State `json:"to"`
	Cause string        `json:"cause"`
	At    *time.Time    `json:"at"`
}

const maxLog = 1000

// NewLog returns a log of the last n transitions of all breakers together. It
// panics if n is not in [1, 1000].
func NewLog(n int) *Log {
	if n < 1 || n > maxLog {
		panic(fmt.Sprintf("dashboard: NewLog(%d): want a number in [1, %d]", n, maxLog))
	}
	return &Log{epoch: strconv.FormatUint(rand.Uint64(), 36), ring: make([]event, 0, n)}
}

// Listen is a [breaker.Listener] that adds a transition to the log. The oldest
// one makes room for it.
func (l *Log) Listen(e breaker.Event) {
	entry := event{Name: cut(e.Snapshot.Name), From: e.From, To: e.To, Cause: cut(e.Cause), At: known(e.At)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) < cap(l.ring) {
		l.ring = append(l.ring, entry)
	} else {
		l.ring[l.next%uint64(cap(l.ring))] = entry
	}
	l.next++
}

// happenings is the answer to GET api/v1/events.
type happenings struct {
	Next   string  `json:"next"`
	Missed uint64  `json:"missed"`
	Events []event `json:"events"`
}

// since returns the events from the cursor on, which may be of another log.
func (l *Log) since(cursor string) happenings {
	l.mu.Lock()
	defer l.mu.Unlock()
	var from uint64
	if epoch, number, ok := strings.Cut(cursor, "."); ok && epoch == l.epoch {
		from, _ = strconv.ParseUint(number, 10, 64)
		from = min(from, l.next)
	}
	oldest := l.next - uint64(len(l.ring))
	a := happenings{Next: fmt.Sprintf("%s.%d", l.epoch, l.next), Events: []event{}}
	if cursor != "" && from < oldest {
		a.Missed = oldest - from
	}
	for i := max(from, oldest); i < l.next; i++ {
		a.Events = append(a.Events, l.ring[i%uint64(cap(l.ring))])
	}
	return a
}

func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	if h.log == nil {
		fail(w, http.StatusNotFound, "there is no log")
		return
	}
	answer(w, h.log.since(r.URL.Query().Get("since")))
}
