package dashboard_test

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/dashboard"
	"github.com/kratos-breaker/breaker/group"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // it is told of panics
	goleak.VerifyTestMain(m)
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var anybody = dashboard.WithAdmin(func(*http.Request) error { return nil })

// shop is a group with a breaker for each of the keys; those that end in "!" are
// open.
func shop(keys ...string) *group.Group[*circuit.Breaker] {
	g := group.NewKeyed(func(key string) *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithName(key), circuit.WithConsecutiveFailures(1))
	})
	for _, key := range keys {
		b := g.Get(key)
		p, _ := b.Acquire()
		outcome := breaker.Success
		if strings.HasSuffix(key, "!") {
			outcome = breaker.Failure
		}
		p.Done(outcome)
	}
	return g
}

// source is a source of breakers that were made by hand.
type source []breaker.Listed

func (s source) Breakers() iter.Seq[breaker.Listed] {
	return func(yield func(breaker.Listed) bool) {
		for _, l := range s {
			if !yield(l) {
				return
			}
		}
	}
}

func (s source) Keys() breaker.Keys { return breaker.Keys{Held: len(s), Limit: 256} }

// still is a breaker that has nothing but a snapshot.
type still struct {
	breaker.Breaker
	snapshot breaker.Snapshot
}

func (s *still) Snapshot() breaker.Snapshot { return s.snapshot }

func ask(h http.Handler, method, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, http.NoBody)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(h http.Handler, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	return ask(h, http.MethodGet, target, change...)
}

func withHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// post sends a change as a script does.
func post(h http.Handler, target, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	all := []func(*http.Request){withHeader("Content-Type", "application/json"), func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(body))
	}}
	return ask(h, http.MethodPost, target, append(all, change...)...)
}

// item is what the tests look at of one breaker.
type item struct {
	ID           string   `json:"id"`
	Key          string   `json:"key"`
	Name         string   `json:"name"`
	Overflow     bool     `json:"overflow"`
	Controllable bool     `json:"controllable"`
	Mode         string   `json:"mode"`
	ModeUntil    *string  `json:"mode_until"`
	State        string   `json:"state"`
	Since        *string  `json:"since"`
	Cause        string   `json:"cause"`
	RejectRatio  *float64 `json:"reject_ratio"`
	Totals       struct {
		Offered uint64 `json:"offered"`
	} `json:"totals"`
	Transitions map[string]map[string]uint64 `json:"transitions"`
}

type list struct {
	Admin      bool           `json:"admin"`
	Note       string         `json:"note"`
	Actions    []string       `json:"actions"`
	States     map[string]int `json:"states"`
	Overruled  int            `json:"overruled"`
	Unreadable int            `json:"unreadable"`
	LeftOut    int            `json:"left_out"`
	Next       string         `json:"next"`
	Breakers   []item         `json:"breakers"`
}

func (l list) keys() []string {
	keys := []string{}
	for _, b := range l.Breakers {
		keys = append(keys, b.Key)
	}
	return keys
}

func listed(t *testing.T, h http.Handler, query string) (l list) {
	t.Helper()
	w := get(h, "/api/v1/breakers?"+query)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &l))
	return l
}

var errSecret = errors.New("the password of the database is hunter2")
