package dashboard_test

import (
	"bytes"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/dashboard"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

func TestList_SaysWhatASnapshotSays(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("there", 3600))
	var s breaker.Snapshot
	s.Name, s.Cause, s.Rule = "orders", "5 failures in a row", "payments"
	s.Mode, s.ModeUntil, s.State, s.Since = breaker.DryRun, at.Add(time.Minute), breaker.HalfOpen, at
	s.Window = breaker.Window{Length: 3 * time.Second, Success: 1, Failure: 2, Rejected: 3, Slow: 4}
	s.Totals = breaker.Totals{Offered: 11, Allowed: 12, Rejected: 13, Success: 14, Failure: 15, Ignored: 16, InFlight: 17, WouldReject: 18}
	s.ConsecutiveSuccesses, s.ConsecutiveFailures, s.Openings = 5, 6, 7
	s.Transitions[breaker.Closed][breaker.Open], s.Transitions[breaker.HalfOpen][breaker.Closed] = 2, 1
	s.RejectRatio, s.RetryAfter = 0.25, 1500*time.Millisecond
	h := dashboard.Handler(source{{Key: "/x", Breaker: &still{snapshot: s}}}, dashboard.WithTitle("shop"),
		dashboard.WithNote(func() string { return "pod-1" }))
	body := get(h, "/api/v1/breakers").Body.String()
	require.Regexp(t, `^\{"now":"[0-9T:.-]+Z","title":"shop","note":"pod-1","admin":false,"events":false,"actions":\[\],`+
		`"keys":\{"held":1,"limit":256,"overflows":0\},"states":\{"closed":0,"half-open":1,"open":0\},`+
		`"overruled":1,"unreadable":0,"left_out":0,"next":"","breakers":\[\{"id":"[0-9a-z]{13}",`, body)
	require.Contains(t, body, `"key":"/x","name":"orders","overflow":false,"controllable":false,`+
		`"mode":"dry-run","mode_until":"2026-01-02T02:05:05.006Z","state":"half-open","since":"2026-01-02T02:04:05.006Z",`+
		`"cause":"5 failures in a row","rule":"payments","reject_ratio":0.25,"retry_after_ms":1500,`+
		`"window":{"length_ms":3000,"success":1,"failure":2,"rejected":3,"slow":4},`+
		`"totals":{"offered":11,"allowed":12,"rejected":13,"success":14,"failure":15,"ignored":16,"in_flight":17,"would_reject":18},`+
		`"consecutive_successes":5,"consecutive_failures":6,"openings":7,`+
		`"transitions":{"closed":{"open":2},"half-open":{"closed":1}}}]}`)
}

func TestList_OfNothingIsEmpty(t *testing.T) {
	l := listed(t, dashboard.Handler(breaker.SourceOf(shop())), "")
	require.Equal(t, []item{}, l.Breakers)
	require.Equal(t, map[string]int{"closed": 0, "half-open": 0, "open": 0}, l.States)
	require.Contains(t, get(dashboard.Handler(source{}), "/api/v1/breakers").Body.String(), `"breakers":[]`)
}

func TestList_LookingMakesNoBreakerAndChangesNone(t *testing.T) {
	g := shop("/a")
	before := g.Get("/a").Snapshot()
	h := dashboard.Handler(breaker.SourceOf(g), anybody)
	for range 10 {
		listed(t, h, "")
		require.Equal(t, http.StatusNotFound, get(h, "/api/v1/breakers?key=/none").Code)
		require.Equal(t, http.StatusNotFound, get(h, "/api/v1/breakers?id=none").Code)
	}
	require.Equal(t, 1, g.Len())
	_, ok := g.Overflow()
	require.False(t, ok)
	require.Equal(t, before, g.Get("/a").Snapshot())
}

func TestList_FindsOneByItsKeyOrID(t *testing.T) {
	h := dashboard.Handler(breaker.SourceOf(shop("/a", "/a/b", "/a?x=1&y=/ü", "")))
	for _, key := range []string{"/a", "/a/b", "/a?x=1&y=/ü", ""} {
		l := listed(t, h, "key="+url.QueryEscape(key))
		require.Equal(t, []string{key}, l.keys())
		require.Equal(t, 4, l.States["closed"], "the counts are of all")
		require.Equal(t, []string{key}, listed(t, h, "id="+l.Breakers[0].ID).keys())
	}
}

func TestList_FiltersByKeyAndNameInAnyCase(t *testing.T) {
	h := dashboard.Handler(source{
		{Key: "/Shop/Get", Breaker: &still{}},
		{Key: "/x", Breaker: &still{snapshot: breaker.Snapshot{Name: "the sHOp"}}},
		{Key: "/y", Breaker: &still{}},
	})
	require.Equal(t, []string{"/Shop/Get", "/x"}, listed(t, h, "filter=SHOP").keys())
	require.Equal(t, []string{}, listed(t, h, "filter=none").keys(), "that is no error")
}

func TestList_PagesAreCutAndGoOnAfterTheLastOne(t *testing.T) {
	var keys []string
	for i := range 25 {
		keys = append(keys, fmt.Sprintf("/op/%02d", i))
	}
	h := dashboard.Handler(breaker.SourceOf(shop(keys...)))
	var seen []string
	for cursor, pages := "", 1; ; pages++ {
		l := listed(t, h, "limit=10&cursor="+cursor)
		seen = append(seen, l.keys()...)
		if cursor = l.Next; cursor == "" {
			require.Equal(t, 3, pages)
			require.Zero(t, l.LeftOut)
			break
		}
		require.Equal(t, 25-len(seen), l.LeftOut)
	}
	require.Equal(t, keys, seen)
}

func TestList_AThousandBreakersAreTheMost(t *testing.T) {
	var many source
	for i := range 1500 {
		many = append(many, breaker.Listed{Key: fmt.Sprintf("/%04d", i), Breaker: &still{snapshot: breaker.Snapshot{Cause: "x"}}})
	}
	h := dashboard.Handler(many)
	require.Len(t, listed(t, h, "").Breakers, 256)
	require.Len(t, listed(t, h, "limit=1000").Breakers, 1000)
	for _, query := range []string{"limit=1001", "limit=0", "limit=-1", "limit=x", "limit=", "limit=1e3", "order=none", "cursor=!", "cursor=AAAA"} {
		require.Equal(t, http.StatusBadRequest, get(h, "/api/v1/breakers?"+query).Code, query)
	}
	require.Equal(t, http.StatusBadRequest, get(h, "/api/v1/breakers?order=notable&cursor="+listed(t, h, "").Next).Code)
}

func TestList_WhatIsNotableComesFirst(t *testing.T) {
	is := func(key string, state breaker.State, mode breaker.Mode, offered uint64) breaker.Listed {
		s := breaker.Snapshot{State: state, Mode: mode, Totals: breaker.Totals{Offered: offered}}
		return breaker.Listed{Key: key, Breaker: &still{snapshot: s}}
	}
	h := dashboard.Handler(source{
		is("closed", breaker.Closed, breaker.Auto, 10), is("busy", breaker.Closed, breaker.Auto, 99), is("dry", breaker.Closed, breaker.DryRun, 5),
		is("half", breaker.HalfOpen, breaker.Auto, 5), is("forced", breaker.Closed, breaker.ForceOpen, 1), is("open", breaker.Open, breaker.Auto, 2),
		is("but allowed", breaker.Open, breaker.ForceClosed, 9),
	})
	l := listed(t, h, "order=notable&limit=6")
	require.Equal(t, []string{"open", "forced", "but allowed", "half", "dry", "busy"}, l.keys())
	require.Equal(t, 1, l.LeftOut)
	require.Empty(t, l.Next)
	require.Equal(t, 3, l.Overruled)
}

func TestList_AKeyInTwoSourcesIsTwoBreakers(t *testing.T) {
	one, other := shop("/a"), shop("/a!", "/a")
	h := dashboard.Handler(breaker.Sources(breaker.SourceOf(one), breaker.SourceOf(other), breaker.SourceOf(one)))
	l := listed(t, h, "key=/a")
	require.Len(t, l.Breakers, 2, "and a source that is there twice shows no breaker twice")
	require.NotEqual(t, l.Breakers[0].ID, l.Breakers[1].ID)
	ids := map[string]bool{l.Breakers[0].ID: true, l.Breakers[1].ID: true}
	for range 10 {
		for _, b := range listed(t, h, "key=/a").Breakers {
			require.True(t, ids[b.ID], "an id stays the same")
		}
	}
}

func TestList_AnotherBreakerInTheSamePlaceHasAnotherID(t *testing.T) {
	g := shop("/a")
	h := dashboard.Handler(breaker.SourceOf(g))
	before := listed(t, h, "").Breakers[0].ID
	kept := g.Get("/a")
	g.Clear()
	g.Get("/a")
	require.NotEqual(t, before, listed(t, h, "").Breakers[0].ID)
	runtime.KeepAlive(kept) // or the new one might be in its place in the memory, too
}

func TestList_TheOverflowBreakerIsMarked(t *testing.T) {
	g := group.NewGroup(func() *sre.Breaker { return sre.NewBreaker() }, group.WithLimit(1))
	g.Get("")
	g.Get("/b")
	l := listed(t, dashboard.Handler(breaker.SourceOf(g)), "")
	require.Len(t, l.Breakers, 2)
	require.NotEqual(t, l.Breakers[0].Overflow, l.Breakers[1].Overflow)
	require.NotEqual(t, l.Breakers[0].ID, l.Breakers[1].ID)
}

func TestList_AnyKeyIsOne(t *testing.T) {
	keys := []string{"\xff", "\xfe", "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "\x00\n", "日本", "../../etc", "{{.}}"}
	h := dashboard.Handler(breaker.SourceOf(shop(keys...)), anybody)
	w := get(h, "/api/v1/breakers")
	require.NotContains(t, w.Body.String(), "<", "even if a browser took it for a page")
	l := listed(t, h, "")
	require.Len(t, l.Breakers, len(keys))
	for _, b := range l.Breakers {
		require.Equal(t, http.StatusOK, post(h, "/api/v1/breakers?id="+b.ID, `{"action":"dry-run"}`).Code)
	}
	require.Equal(t, len(keys), listed(t, h, "").Overruled)
	for _, key := range keys {
		require.Len(t, listed(t, h, "key="+url.QueryEscape(key)).Breakers, 1, "%q", key)
	}
}

func TestList_PagesThroughKeysThatLookTheSame(t *testing.T) {
	h := dashboard.Handler(breaker.SourceOf(shop("\xff", "\xfe", "\ufffd", "")))
	seen := 0
	for cursor := ""; ; {
		l := listed(t, h, "limit=1&cursor="+cursor)
		seen += len(l.Breakers)
		if cursor = l.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, 4, seen)
}

func TestList_BoundsWhatOthersHaveWritten(t *testing.T) {
	long := strings.Repeat("ü", 1<<20)
	s := breaker.Snapshot{Name: long, Cause: long, Rule: "x" + long}
	h := dashboard.Handler(source{{Key: long, Breaker: &still{snapshot: s}}}, dashboard.WithNote(func() string { return long }))
	require.Less(t, get(h, "/api/v1/breakers").Body.Len(), 7000)
	l := listed(t, h, "")
	require.Equal(t, strings.Repeat("ü", 500)+"…", l.Breakers[0].Name)
	require.Len(t, listed(t, h, "key="+long).Breakers, 1)
}

func TestList_ShowsNumbersThatAreNoneAsNull(t *testing.T) {
	for _, ratio := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		s := breaker.Snapshot{RejectRatio: ratio, Since: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}
		b := listed(t, dashboard.Handler(source{{Breaker: &still{snapshot: s}}}), "").Breakers[0]
		require.Nil(t, b.RejectRatio)
		require.Nil(t, b.Since)
		require.Nil(t, b.ModeUntil)
	}
}

func TestList_LeavesOutABreakerThatPanics(t *testing.T) {
	h := dashboard.Handler(source{{Key: "/a", Breaker: &still{}}, {Key: "/bad", Breaker: broken{}}, {Key: "/nil"}, {Key: "/z", Breaker: &still{}}})
	l := listed(t, h, "")
	require.Equal(t, []string{"/a", "/z"}, l.keys())
	require.Equal(t, 2, l.Unreadable)
}

// broken is a breaker, and a source, that panics; it cannot be compared either.
type broken struct {
	breaker.Breaker
	_ []int
}

func (broken) Snapshot() breaker.Snapshot         { panic(errSecret) }
func (broken) Breakers() iter.Seq[breaker.Listed] { panic(errSecret) }
func (broken) Keys() breaker.Keys                 { return breaker.Keys{} }

func TestHandler_SaysNothingOfAPanicAndGoesOn(t *testing.T) {
	failing := true
	h := dashboard.Handler(source{}, dashboard.WithNote(func() string {
		if failing {
			panic(errSecret)
		}
		return "well"
	}))
	for _, h := range []http.Handler{h, dashboard.Handler(broken{})} {
		w := get(h, "/api/v1/breakers")
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.NotContains(t, w.Body.String(), "hunter2")
		require.Equal(t, http.StatusOK, get(h, "/").Code)
	}
	failing = false
	require.Equal(t, "well", listed(t, h, "").Note)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		get(dashboard.Handler(source{}, dashboard.WithNote(func() string { panic(http.ErrAbortHandler) })), "/api/v1/breakers")
	}, "that is what it is for")
}

func TestHandler_TellsTheProgramsLogOfPanicsOnceAMinute(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	var out bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	synctest.Test(t, func(t *testing.T) {
		h := dashboard.Handler(source{{Key: "/bad", Breaker: broken{}}})
		for range 120 {
			listed(t, h, "")
			time.Sleep(time.Second)
		}
	})
	require.Equal(t, 2, strings.Count(out.String(), "hunter2"))
	require.Contains(t, out.String(), "broken.Snapshot", "where it was")
}

// full is a group as it is by default when no key has room any more.
func full() *group.Group[*circuit.Breaker] {
	g := group.NewKeyed(func(key string) *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithName(key), circuit.WithFailureRate(0.5, 20, 10*time.Second))
	})
	for i := range 257 {
		b := g.Get(fmt.Sprintf("/warehouse.inventory.v1.InventoryService/ReserveStockItem%04d", i))
		for range 30 {
			if p, err := b.Acquire(); err == nil {
				p.Done(breaker.Failure)
			}
		}
	}
	return g
}

func TestList_Of256BreakersIsBelow200KBAnd10Milliseconds(t *testing.T) {
	h := dashboard.Handler(breaker.SourceOf(full()))
	best := time.Hour
	for range 20 { // the machine may be busy, but not all the time
		begin := time.Now()
		w := get(h, "/api/v1/breakers?limit=1000&order=notable")
		best = min(best, time.Since(begin))
		require.Less(t, w.Body.Len(), 200_000)
		require.Equal(t, 257, strings.Count(w.Body.String(), `"state":"open"`))
	}
	t.Log(best)
	if !raceDetector {
		require.Less(t, best, 10*time.Millisecond)
	}
}

func TestHandler_HasNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if one is left
		log := dashboard.NewLog(10)
		h := dashboard.Handler(breaker.SourceOf(full()), dashboard.WithLog(log))
		for range 3 {
			listed(t, h, "")
			get(h, "/api/v1/events")
			get(h, "/")
		}
	})
}

func BenchmarkList_Of256(b *testing.B) {
	h := dashboard.Handler(breaker.SourceOf(full()))
	for b.Loop() {
		b.SetBytes(int64(get(h, "/api/v1/breakers?limit=1000&order=notable").Body.Len()))
	}
}
