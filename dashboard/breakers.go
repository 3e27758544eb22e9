package dashboard

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"hash/maphash"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kratos-breaker/breaker"
)

// listing is the answer to GET api/v1/breakers.
type listing struct {
	Now        *time.Time     `json:"now"`
	Title      string         `json:"title"`
	Note       string         `json:"note"`
	Admin      bool           `json:"admin"`
	Events     bool           `json:"events"`
	Actions    []string       `json:"actions"`
	Keys       keys           `json:"keys"`
	States     map[string]int `json:"states"`
	Overruled  int            `json:"overruled"`
	Unreadable int            `json:"unreadable"`
	LeftOut    int            `json:"left_out"`
	Next       string         `json:"next"`
	Breakers   []view         `json:"breakers"`
}

type keys struct {
	Held      int    `json:"held"`
	Limit     int    `json:"limit"`
	Overflows uint64 `json:"overflows"`
}

// view is one breaker of a listing.
type view struct {
	ID                   string                       `json:"id"`
	Key                  string                       `json:"key"`
	Name                 string                       `json:"name"`
	Overflow             bool                         `json:"overflow"`
	Controllable         bool                         `json:"controllable"`
	Mode                 breaker.Mode                 `json:"mode"`
	ModeUntil            *time.Time                   `json:"mode_until"`
	State                breaker.State                `json:"state"`
	Since                *time.Time                   `json:"since"`
	Cause                string                       `json:"cause"`
	Rule                 string                       `json:"rule"`
	RejectRatio          *float64                     `json:"reject_ratio"`
	RetryAfterMS         int64                        `json:"retry_after_ms"`
	Window               window                       `json:"window"`
	Totals               totals                       `json:"totals"`
	ConsecutiveSuccesses uint64                       `json:"consecutive_successes"`
	ConsecutiveFailures  uint64                       `json:"consecutive_failures"`
	Openings             uint64                       `json:"openings"`
	Transitions          map[string]map[string]uint64 `json:"transitions"`

	place place
}

type window struct {
	LengthMS int64  `json:"length_ms"`
	Success  uint64 `json:"success"`
	Failure  uint64 `json:"failure"`
	Rejected uint64 `json:"rejected"`
	Slow     uint64 `json:"slow"`
}

type totals struct {
	Offered     uint64 `json:"offered"`
	Allowed     uint64 `json:"allowed"`
	Rejected    uint64 `json:"rejected"`
	Success     uint64 `json:"success"`
	Failure     uint64 `json:"failure"`
	Ignored     uint64 `json:"ignored"`
	InFlight    uint64 `json:"in_flight"`
	WouldReject uint64 `json:"would_reject"`
}

// place is where a breaker stands in a listing that is sorted by key. The key is
// the whole one, and valid or not.
type place struct{ key, id string }

func (p place) compare(q place) int {
	return cmp.Or(strings.Compare(p.key, q.key), strings.Compare(p.id, q.id))
}

// query is what a request wants to see.
type query struct {
	filter  string
	key     *string
	id      *string
	limit   int
	after   *place
	notable bool
}

const defaultLimit, maxLimit = 256, 1000

func parseQuery(values url.Values) (q query, err error) {
	only := func(name string) *string {
		if !values.Has(name) {
			return nil
		}
		v := values.Get(name)
		return &v
	}
	q = query{filter: strings.ToLower(values.Get("filter")), key: only("key"), id: only("id"), limit: defaultLimit}
	if values.Has("limit") {
		if q.limit, err = strconv.Atoi(values.Get("limit")); err != nil || q.limit < 1 || q.limit > maxLimit {
			return q, fmt.Errorf("limit: want a number in [1, %d]", maxLimit)
		}
	}
	switch values.Get("order") {
	case "", "key":
	case "notable":
		q.notable = true
	default:
		return q, fmt.Errorf(`order: want "key" or "notable"`)
	}
	if cursor := values.Get("cursor"); cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || len(text) < idLength || q.notable {
			return q, fmt.Errorf(`cursor: want the "next" of a listing in the order of the keys`)
		}
		q.after = &place{id: string(text[:idLength]), key: string(text[idLength:])}
	}
	return q, nil
}

func (p place) cursor() string { return base64.RawURLEncoding.EncodeToString([]byte(p.id + p.key)) }

// wants reports whether a breaker is what the query names. It does not look into
// the breaker.
func (q query) wants(l breaker.Listed, id string) bool {
	return (q.key == nil || *q.key == l.Key) && (q.id == nil || *q.id == id)
}

func (q query) matches(v view) bool {
	return q.filter == "" || strings.Contains(strings.ToLower(v.place.key), q.filter) ||
		strings.Contains(strings.ToLower(v.Name), q.filter)
}

func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query())
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	named := q.key != nil || q.id != nil
	a, found := h.look(q)
	if named && found == 0 {
		fail(w, http.StatusNotFound, "there is no such breaker")
		return
	}
	answer(w, a)
}

// look reads every breaker once, and lists those that the query wants. Found
// counts those that it names.
func (h *handler) look(q query) (a listing, found int) {
	now := time.Now()
	k := h.source.Keys()
	a = listing{
		Now: known(now), Title: h.title, Admin: h.authorize != nil, Events: h.log != nil,
		Keys: keys(k), States: map[string]int{"closed": 0, "half-open": 0, "open": 0},
		Actions: make([]string, 0, len(h.actions)), Breakers: []view{},
	}
	for _, action := range h.actions {
		a.Actions = append(a.Actions, action.name)
	}
	if h.note != nil {
		a.Note = cut(h.note())
	}
	for l, id := range h.breakers {
		v, ok := h.view(l, id)
		if !ok {
			a.Unreadable++
			continue
		}
		a.States[v.State.String()]++
		if v.Mode != breaker.Auto {
			a.Overruled++
		}
		if !q.wants(l, id) {
			continue
		}
		found++
		if q.matches(v) && (q.after == nil || v.place.compare(*q.after) > 0) {
			a.Breakers = append(a.Breakers, v)
		}
	}
	slices.SortFunc(a.Breakers, func(v, w view) int {
		if q.notable {
			return cmp.Or(cmp.Compare(w.rank(), v.rank()), cmp.Compare(w.Totals.Offered, v.Totals.Offered),
				v.place.compare(w.place))
		}
		return v.place.compare(w.place)
	})
	if a.LeftOut = max(0, len(a.Breakers)-q.limit); a.LeftOut > 0 {
		a.Breakers = a.Breakers[:q.limit]
		if !q.notable {
			a.Next = a.Breakers[q.limit-1].place.cursor()
		}
	}
	return a, found
}

// rank is higher for what people have to know of.
func (v view) rank() int {
	switch {
	case v.Mode == breaker.ForceOpen, v.State == breaker.Open && v.Mode == breaker.Auto:
		return 3
	case v.State != breaker.Closed:
		return 2
	case v.Mode != breaker.Auto:
		return 1
	}
	return 0
}

// breakers yields each breaker of the source, and what it is known by, once: a
// group may be in several sources.
func (h *handler) breakers(yield func(breaker.Listed, string) bool) {
	seen := make(map[string]bool)
	for l := range h.source.Breakers() {
		id := h.id(l)
		if seen[id] {
			continue
		}
		seen[id] = true
		if !yield(l, id) {
			return
		}
	}
}

const idLength = 13 // 64 bits in base 36

// id tells breakers apart that have the same key. Another breaker that comes in
// the place of an evicted one has another id, so that nobody compares the counts
// of the two, or overrules the wrong one. It costs no memory.
func (h *handler) id(l breaker.Listed) string {
	what := struct {
		key      string
		overflow bool
		breaker  breaker.Breaker
	}{l.Key, l.Overflow, l.Breaker}
	if !reflect.ValueOf(&what.breaker).Elem().Comparable() {
		what.breaker = nil
	}
	sum := strconv.FormatUint(maphash.Comparable(h.seed, what), 36)
	return strings.Repeat("0", idLength-len(sum)) + sum
}

// view reads a breaker. It returns false if the breaker panicked: the others can
// be shown nevertheless.
func (h *handler) view(l breaker.Listed, id string) (v view, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			h.complain(p)
			v, ok = view{}, false
		}
	}()
	s := l.Breaker.Snapshot()
	_, controllable := l.Breaker.(breaker.Controller)
	v = view{
		ID: id, Key: cut(l.Key), Name: cut(s.Name), Overflow: l.Overflow, Controllable: controllable,
		Mode: s.Mode, ModeUntil: known(s.ModeUntil), State: s.State, Since: known(s.Since), Cause: cut(s.Cause),
		Rule: cut(s.Rule), RetryAfterMS: s.RetryAfter.Milliseconds(),
		Window: window{
			LengthMS: s.Window.Length.Milliseconds(),
			Success:  s.Window.Success, Failure: s.Window.Failure, Rejected: s.Window.Rejected, Slow: s.Window.Slow,
		},
		Totals:               totals(s.Totals),
		ConsecutiveSuccesses: s.ConsecutiveSuccesses, ConsecutiveFailures: s.ConsecutiveFailures,
		Openings: s.Openings, Transitions: map[string]map[string]uint64{},
		place: place{key: l.Key, id: id},
	}
	if !math.IsNaN(s.RejectRatio) && !math.IsInf(s.RejectRatio, 0) {
		v.RejectRatio = &s.RejectRatio
	}
	for from, row := range s.Transitions {
		for to, n := range row {
			if n == 0 {
				continue
			}
			from, to := breaker.State(from).String(), breaker.State(to).String()
			if v.Transitions[from] == nil {
				v.Transitions[from] = make(map[string]uint64)
			}
			v.Transitions[from][to] = n
		}
	}
	return v, true
}

// known returns nil for a time that is not known, or that JSON has no words for.
func known(t time.Time) *time.Time {
	t = t.UTC()
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return nil
	}
	return &t
}

const maxText = 1000

// cut bounds the length of a text that somebody else has made.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > maxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
