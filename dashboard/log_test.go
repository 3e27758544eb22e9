package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/dashboard"
)

type happenings struct {
	Next   string `json:"next"`
	Missed uint64 `json:"missed"`
	Events []struct {
		Name, From, To, Cause string
		At                    *time.Time
	} `json:"events"`
}

func (h happenings) names() []string {
	names := []string{}
	for _, e := range h.Events {
		names = append(names, e.Name)
	}
	return names
}

func eventsOf(t *testing.T, l *dashboard.Log, since string) (e happenings) {
	t.Helper()
	w := get(dashboard.Handler(source{}, dashboard.WithLog(l)), "/api/v1/events?since="+url.QueryEscape(since))
	require.Equal(t, http.StatusOK, w.Code)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
	require.NotNil(t, e.Events)
	return e
}

func named(name string) breaker.Event { return breaker.Event{Snapshot: breaker.Snapshot{Name: name}} }

func TestLog_HoldsWhatBreakersTellIt(t *testing.T) {
	l := dashboard.NewLog(8)
	b := circuit.NewBreaker(circuit.WithName("/a"), circuit.WithListener(l.Listen), circuit.WithConsecutiveFailures(2))
	for range 2 {
		p, err := b.Acquire()
		require.NoError(t, err)
		p.Done(breaker.Failure)
	}
	b.Reset()
	e := eventsOf(t, l, "")
	require.Len(t, e.Events, 2)
	require.Equal(t, []string{"/a", "/a"}, e.names())
	require.Equal(t, []string{"closed", "open", "2 failures in a row"}, []string{e.Events[0].From, e.Events[0].To, e.Events[0].Cause})
	require.Equal(t, []string{"open", "closed", "reset"}, []string{e.Events[1].From, e.Events[1].To, e.Events[1].Cause})
	require.WithinDuration(t, time.Now(), *e.Events[0].At, time.Minute)
}

func TestLog_ListsWhatIsNewSinceTheLastLook(t *testing.T) {
	l := dashboard.NewLog(3)
	e := eventsOf(t, l, "")
	require.Empty(t, e.Events)
	l.Listen(named("1"))
	l.Listen(named("2"))
	e = eventsOf(t, l, e.Next)
	require.Equal(t, []string{"1", "2"}, e.names())
	require.Empty(t, eventsOf(t, l, e.Next).Events)
	for i := 3; i <= 7; i++ {
		l.Listen(named(fmt.Sprint(i)))
	}
	e = eventsOf(t, l, e.Next)
	require.Equal(t, []string{"5", "6", "7"}, e.names())
	require.EqualValues(t, 2, e.Missed)
	require.Equal(t, []string{"5", "6", "7"}, eventsOf(t, l, "").names())
	require.Zero(t, eventsOf(t, l, "").Missed, "who asks for the first time has missed nothing")
}

func TestLog_ListsAllAfterARestart(t *testing.T) {
	before, after := dashboard.NewLog(3), dashboard.NewLog(3)
	before.Listen(named("old"))
	cursor := eventsOf(t, before, "").Next
	for i := range 5 {
		after.Listen(named(fmt.Sprint(i)))
	}
	e := eventsOf(t, after, cursor)
	require.Equal(t, []string{"2", "3", "4"}, e.names())
	require.EqualValues(t, 2, e.Missed)
	for _, cursor := range []string{"x", ".", "." + cursor, "x.99999999999999999999", strings.Split(e.Next, ".")[0] + ".x"} {
		require.Len(t, eventsOf(t, after, cursor).Events, 3, cursor)
	}
	require.Empty(t, eventsOf(t, after, strings.Split(e.Next, ".")[0]+".99").Events)
}

func TestLog_IsBounded(t *testing.T) {
	l := dashboard.NewLog(1000)
	for range 3000 {
		l.Listen(breaker.Event{Cause: strings.Repeat("x", 5000)})
	}
	require.Len(t, eventsOf(t, l, "").Events, 1000)
}

func TestLog_TakesEventsFromEverywhereAtOnce(t *testing.T) {
	l := dashboard.NewLog(100)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				l.Listen(named("x"))
			}
		})
		wg.Go(func() {
			for range 20 {
				eventsOf(t, l, "")
			}
		})
	}
	wg.Wait()
	require.True(t, strings.HasSuffix(eventsOf(t, l, "").Next, ".1600"))
}

func TestLog_IsNotFoundUnlessThereIsOne(t *testing.T) {
	require.Equal(t, http.StatusNotFound, get(dashboard.Handler(source{}), "/api/v1/events").Code)
}
