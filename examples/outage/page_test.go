package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/dashboard"
)

// running is the program while it runs.
type running struct {
	t      *testing.T
	cancel context.CancelFunc
	ended  chan int

	mu     sync.Mutex
	stdout strings.Builder
	stderr strings.Builder
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, cancel: cancel, ended: make(chan int, 1)}
	go func() { r.ended <- run(ctx, args, pipe{r, &r.stdout}, pipe{r, &r.stderr}) }()
	return r
}

type pipe struct {
	r  *running
	to *strings.Builder
}

func (p pipe) Write(b []byte) (int, error) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	return p.to.Write(b)
}

func (r *running) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stdout.String() + r.stderr.String()
}

// eventually waits much longer than it takes.
func (r *running) eventually(what string, f func() bool) {
	r.t.Helper()
	for begin := time.Now(); !f(); time.Sleep(20 * time.Millisecond) {
		require.Less(r.t, time.Since(begin), 40*time.Second, "%s: %s", what, r.text())
	}
}

// page waits until the address of the page is printed.
func (r *running) page() string {
	r.t.Helper()
	var found []string
	r.eventually("the address", func() bool {
		found = regexp.MustCompile(`(?m)^The breakers, live: (http://\S+/)$`).FindStringSubmatch(r.text())
		return found != nil
	})
	return found[1]
}

func (r *running) interrupt() (code int) {
	r.cancel()
	return <-r.ended
}

var browser = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func (r *running) press(page, button string) {
	r.t.Helper()
	response, err := browser.Post(page+"api/v1/actions?name="+url.QueryEscape(button), "application/json", strings.NewReader("{}"))
	require.NoError(r.t, err)
	require.NoError(r.t, response.Body.Close())
	require.Equal(r.t, http.StatusOK, response.StatusCode)
}

// states returns those of the breakers by their keys, and the note.
func (r *running) states(page string) (states map[string]string, note string) {
	r.t.Helper()
	response, err := browser.Get(page + "api/v1/breakers")
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, response.Body.Close()) }()
	var list struct {
		Note     string
		Breakers []struct{ Key, State string }
	}
	require.NoError(r.t, json.NewDecoder(response.Body).Decode(&list))
	states = make(map[string]string)
	for _, b := range list.Breakers {
		states[b.Key] = b.State
	}
	return states, list.Note
}

func (r *running) become(page, state string) {
	r.t.Helper()
	r.eventually("the breakers become "+state, func() bool {
		states, _ := r.states(page)
		return states[httpPath] == state && states[grpcMethod] == state
	})
}

func TestPage_TakesOverTheBackendByHand(t *testing.T) {
	r := start(t, "-addr", "127.0.0.1:0", "-rps", "100")
	page := r.page()
	r.become(page, "closed")
	for _, button := range []string{"Break: 502", "Heal", "Break: refuse", "Heal", "Break: hang"} {
		r.press(page, button)
		state := "open"
		if button == "Heal" {
			state = "closed"
		}
		r.become(page, state)
		_, note := r.states(page)
		require.Contains(t, note, map[string]string{
			"Break: 502": "502s", "Heal": "healed", "Break: refuse": "refused", "Break: hang": "slow",
		}[button])
	}
	require.Equal(t, exitInterrupted, r.interrupt())
	require.Contains(t, r.text(), "cut short")
	require.Contains(t, r.text(), "The load goes on, and the backend does what you say: "+page)
	require.Contains(t, r.text(), "no claim was checked")
	require.NotContains(t, r.text(), "claims held")
}

func TestPage_StaysAfterTheEndIfHeld(t *testing.T) {
	r := start(t, "-addr", "localhost:0", "-rps", "80", "-duration", "6s", "-hold")
	page := r.page()
	r.eventually("the end", func() bool { return strings.Contains(r.text(), "Interrupt the program to end it.") })
	require.Contains(t, r.text(), " claims held.")
	r.press(page, "Break: 502")
	r.become(page, "open")
	// The machine may have been too busy for the claims.
	require.NotEqual(t, exitInterrupted, r.interrupt(), "all was done")
	require.NotContains(t, r.text(), "no claim was checked")
}

func TestPage_TakesAnotherPortUnlessSomebodyAskedForThatOne(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	addr := taken.Addr().String()
	l := newLoad(plan{}, nil, nil)

	url, stop, err := servePage(plan{addr: addr, anyPort: true}, l, dashboard.NewLog(1))
	require.NoError(t, err)
	defer stop()
	require.NotEqual(t, "http://"+addr+"/", url)

	_, stderr, code := outage(t.Context(), "-addr", addr)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "outage: the page: listen tcp "+addr)
}

func TestPage_IsNotThereIfNobodyWantsIt(t *testing.T) {
	url, stop, err := servePage(plan{}, nil, nil)
	require.NoError(t, err)
	stop()
	require.Empty(t, url)
}
