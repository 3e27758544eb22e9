// Package notify delivers events to listeners in order and exactly once.
package notify

import (
	"sync"
	"sync/atomic"
)

// Queue holds the events that are not delivered yet. Events are added where
// their order is decided, under the lock of whoever decides it, and delivered
// later, when no lock is held. Make one with [New]; it is safe for concurrent
// use. A nil Queue has no listeners.
type Queue[E any] struct {
	listeners []func(E)

	count      atomic.Int64 // of waiting, for who has nothing to deliver
	mu         sync.Mutex
	waiting    []delivery[E]
	delivering bool
}

// delivery is one event for one listener, so that one that does not return
// takes no event from the next.
type delivery[E any] struct {
	event    E
	listener func(E)
}

// New returns a queue for the listeners, or nil if there are none.
func New[E any, L ~func(E)](listeners []L) *Queue[E] {
	if len(listeners) == 0 {
		return nil
	}
	q := &Queue[E]{}
	for _, l := range listeners {
		q.listeners = append(q.listeners, l)
	}
	return q
}

// Add puts an event at the end of the queue.
func (q *Queue[E]) Add(e E) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.listeners {
		q.waiting = append(q.waiting, delivery[E]{e, l})
	}
	q.count.Store(int64(len(q.waiting)))
}

// Deliver hands the events that wait to the listeners, unless another call of
// Deliver is doing so: that one then takes these, too. So a listener that
// leads to a further event, and calls Deliver, gets it after it has returned.
//
// A listener's panic or Goexit goes on up, after the rest is delivered.
func (q *Queue[E]) Deliver() {
	for q != nil && q.count.Load() > 0 && q.deliverNext() {
	}
}

func (q *Queue[E]) deliverNext() bool {
	d, ok := q.take()
	if !ok {
		return false
	}
	returned := false
	defer func() {
		q.mu.Lock()
		q.delivering = false
		q.mu.Unlock()
		if !returned {
			q.Deliver()
		}
	}()
	d.listener(d.event)
	returned = true
	return true
}

// take takes the role of the one who delivers, and the next delivery.
func (q *Queue[E]) take() (d delivery[E], ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.delivering || len(q.waiting) == 0 {
		return d, false
	}
	d = q.waiting[0]
	q.waiting[0] = delivery[E]{}
	q.waiting = q.waiting[1:]
	q.count.Store(int64(len(q.waiting)))
	q.delivering = true
	return d, true
}
