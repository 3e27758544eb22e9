package dashboard_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/dashboard"
	"github.com/kratos-breaker/breaker/sre"
)

const target = "/debug/breakers/api/v1/breakers?key=/a"

func noAction(context.Context) error { return nil }

func TestAdmin_NothingCanBeChangedByDefault(t *testing.T) {
	g := shop("/a")
	h := dashboard.Handler(breaker.SourceOf(g))
	for _, path := range []string{target, "/api/v1/actions?name=x"} {
		w := post(h, path, `{"action":"force-open"}`)
		require.Equal(t, http.StatusForbidden, w.Code)
	}
	require.Equal(t, breaker.Auto, g.Get("/a").Snapshot().Mode)
	require.False(t, listed(t, h, "").Admin)
}

func TestAdmin_WhoeverIsNotAuthorizedIsNotToldWhy(t *testing.T) {
	g := shop("/a")
	asked := 0
	h := dashboard.Handler(breaker.SourceOf(g), dashboard.WithAdmin(func(r *http.Request) error {
		asked++
		if r.Header.Get("Authorization") != "Bearer me" {
			return errSecret
		}
		return nil
	}), dashboard.WithAction("x", func(context.Context) error { t.Error("done"); return nil }))
	for _, path := range []string{target, "/api/v1/breakers?key=/none", "/api/v1/actions?name=x", "/api/v1/actions?name=none"} {
		for _, body := range []string{`{"action":"force-open"}`, `nonsense`} {
			w := post(h, path, body)
			require.Equal(t, http.StatusForbidden, w.Code, "and not whether there is such a breaker")
			require.Equal(t, "you may not do this\n", w.Body.String())
			require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
		}
	}
	require.Equal(t, 8, asked)
	require.Equal(t, breaker.Auto, g.Get("/a").Snapshot().Mode)
	require.Equal(t, http.StatusOK, post(h, target, `{"action":"force-open"}`, withHeader("Authorization", "Bearer me")).Code)
	require.Equal(t, breaker.ForceOpen, g.Get("/a").Snapshot().Mode)
	require.Equal(t, http.StatusOK, get(h, "/api/v1/breakers").Code, "looking needs no authorization")
	require.Equal(t, 9, asked)
}

func TestAdmin_APanickingAuthorizerLetsNobodyIn(t *testing.T) {
	g := shop("/a")
	h := dashboard.Handler(breaker.SourceOf(g), dashboard.WithAdmin(func(*http.Request) error { panic(errSecret) }))
	w := post(h, target, `{"action":"force-open"}`)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "hunter2")
	require.Equal(t, breaker.Auto, g.Get("/a").Snapshot().Mode)
}

func TestAdmin_NoForeignWebSiteCanChangeAnything(t *testing.T) {
	g := shop("/a")
	h := dashboard.Handler(breaker.SourceOf(g), dashboard.WithAdmin(func(*http.Request) error { t.Error("asked"); return nil }))
	for name, foreign := range map[string]func(*http.Request){
		"cross-site": withHeader("Sec-Fetch-Site", "cross-site"), "same-site": withHeader("Sec-Fetch-Site", "same-site"),
		"origin": withHeader("Origin", "https://evil.example"), "null": withHeader("Origin", "null"),
	} {
		require.Equal(t, http.StatusForbidden, post(h, target, `{"action":"force-open"}`, foreign).Code, name)
	}
	require.Equal(t, breaker.Auto, g.Get("/a").Snapshot().Mode)

	h = dashboard.Handler(breaker.SourceOf(g), anybody)
	for name, own := range map[string]func(*http.Request){
		"same-origin": withHeader("Sec-Fetch-Site", "same-origin"), "origin": withHeader("Origin", "http://example.com"), "script": func(*http.Request) {},
	} {
		require.Equal(t, http.StatusOK, post(h, target, `{"action":"dry-run"}`, own).Code, name)
	}
}

func TestAdmin_WantsJSON(t *testing.T) {
	g := shop("/a")
	h := dashboard.Handler(breaker.SourceOf(g), anybody, dashboard.WithAction("x", noAction))
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "json", ";"} {
		for _, path := range []string{target, "/api/v1/actions?name=x"} {
			require.Equal(t, http.StatusUnsupportedMediaType, post(h, path, `{"action":"force-open"}`, withHeader("Content-Type", media)).Code, media)
		}
	}
	require.Equal(t, breaker.Auto, g.Get("/a").Snapshot().Mode)
	require.Equal(t, http.StatusOK, post(h, target, `{"action":"dry-run"}`, withHeader("Content-Type", "Application/JSON; charset=utf-8")).Code)
}

func TestAdmin_OverrulesForATime(t *testing.T) {
	for name, newBreaker := range map[string]func() breaker.Controller{
		"circuit": func() breaker.Controller { return circuit.NewBreaker() },
		"sre":     func() breaker.Controller { return sre.NewBreaker() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker()
				h := dashboard.Handler(source{{Key: "/a", Breaker: b}}, anybody)
				for _, row := range []struct {
					body  string
					mode  breaker.Mode
					lasts time.Duration
				}{
					{`{"action":"force-open"}`, breaker.ForceOpen, 15 * time.Minute},
					{`{"action":"force-open","for":"1s"}`, breaker.ForceOpen, time.Second},
					{`{"action":"force-closed","for":"90m"}`, breaker.ForceClosed, 90 * time.Minute},
					{`{"action":"dry-run","for":"24h"}`, breaker.DryRun, 24 * time.Hour},
				} {
					w := post(h, target, row.body)
					require.Equal(t, http.StatusOK, w.Code, w.Body)
					var got item
					require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
					require.Equal(t, row.mode.String(), got.Mode)
					require.NotNil(t, got.ModeUntil)
					time.Sleep(row.lasts - time.Nanosecond)
					require.Equal(t, row.mode, b.Snapshot().Mode)
					time.Sleep(time.Nanosecond)
					require.Equal(t, breaker.Auto, b.Snapshot().Mode)
				}
				require.Equal(t, http.StatusOK, post(h, target, `{"action":"force-open","for":"1h"}`).Code)
				require.Equal(t, http.StatusOK, post(h, target, `{"action":"auto"}`).Code)
				require.Equal(t, breaker.Auto, b.Snapshot().Mode)
			})
		})
	}
}

func TestAdmin_ResetsABreaker(t *testing.T) {
	g := shop("/a!")
	h := dashboard.Handler(breaker.SourceOf(g), anybody)
	require.Equal(t, "open", listed(t, h, "").Breakers[0].State)
	w := post(h, "/api/v1/breakers?key=/a!", `{"action":"reset"}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `"state":"closed"`)
	require.Equal(t, breaker.Closed, g.Get("/a!").Snapshot().State)
}

func TestAdmin_AnUnknownNameIsNotFoundAndMakesNothing(t *testing.T) {
	g := shop("/a")
	h := dashboard.Handler(breaker.SourceOf(g), anybody, dashboard.WithAction("x", noAction))
	for _, query := range []string{"key=/none", "key=", "id=none", "id=", "key=/a&id=none", "key=/none&id=" + listed(t, h, "").Breakers[0].ID} {
		require.Equal(t, http.StatusNotFound, post(h, "/api/v1/breakers?"+query, `{"action":"force-open"}`).Code, query)
	}
	require.Equal(t, http.StatusBadRequest, post(h, "/api/v1/breakers", `{"action":"force-open"}`).Code, "all is none")
	require.Equal(t, http.StatusNotFound, post(h, "/api/v1/actions?name=none", `{}`).Code)
	require.Equal(t, 1, g.Len())
	require.Equal(t, breaker.Auto, g.Get("/a").Snapshot().Mode)
}

func TestAdmin_OneOfSeveralWithTheSameKeyIsNamedByItsID(t *testing.T) {
	one, other := shop("/a"), shop("/a")
	h := dashboard.Handler(breaker.Sources(breaker.SourceOf(one), breaker.SourceOf(other)), anybody)
	require.Equal(t, http.StatusConflict, post(h, target, `{"action":"force-open"}`).Code)
	require.Zero(t, listed(t, h, "").Overruled)
	id := listed(t, h, "").Breakers[0].ID
	require.Equal(t, http.StatusOK, post(h, "/api/v1/breakers?id="+id, `{"action":"force-open"}`).Code)
	for _, b := range listed(t, h, "").Breakers {
		require.Equal(t, b.ID == id, b.Mode == "force-open")
	}
}

func TestAdmin_ABreakerWithoutModesIsLeftAlone(t *testing.T) {
	h := dashboard.Handler(source{{Key: "/a", Breaker: &still{}}}, anybody)
	require.False(t, listed(t, h, "").Breakers[0].Controllable)
	require.Equal(t, http.StatusConflict, post(h, target, `{"action":"force-open"}`).Code)
}

func TestAdmin_RefusesWhatItDoesNotUnderstand(t *testing.T) {
	g := shop("/a")
	h := dashboard.Handler(breaker.SourceOf(g), anybody)
	for body, want := range map[string]string{
		``: "body", `null`: "action", `{}`: "action", `[]`: "body", `{"action":"open"}`: "action", `{"action":1}`: "body",
		`{"action":"force-open","note":"x"}`: "body", `{"action":"force-open"}{}`: "body", `{"action":"force-open"} x`: "body",
		`{"action":"force-open","for":"0s"}`: "for: want a duration in [1s, 24h0m0s]", `{"action":"force-open","for":"-1m"}`: "for",
		`{"action":"force-open","for":"999ms"}`: "for", `{"action":"force-open","for":"24h0m1s"}`: "for", `{"action":"force-open","for":"x"}`: "for",
		`{"action":"force-open","for":""}`: "for", `{"action":"force-open","for":15}`: "body", `{"action":"force-open","for":"9999999h"}`: "for",
		`{"action":"auto","for":"1m"}`: "for: auto does not last", `{"action":"reset","for":"1m"}`: "for",
		`{"action":"force-open","for":"1m` + strings.Repeat(" ", 5000) + `"}`: "body",
	} {
		w := post(h, target, body)
		require.Equal(t, http.StatusBadRequest, w.Code, body)
		require.Contains(t, w.Body.String(), want, body)
	}
	require.Equal(t, breaker.Auto, g.Get("/a").Snapshot().Mode)
}

func TestAudit_IsToldEachChangeAndNoOther(t *testing.T) {
	var told []dashboard.Change
	h := dashboard.Handler(breaker.SourceOf(shop("/a")), anybody, dashboard.WithAudit(func(r *http.Request, c dashboard.Change) {
		require.Equal(t, "me", r.Header.Get("User"))
		told = append(told, c)
	}))
	me := withHeader("User", "me")
	post(h, target, `{"action":"force-open","for":"1m"}`, me)
	post(h, target, `{"action":"none"}`, me)
	post(h, "/api/v1/breakers?key=/none", `{"action":"auto"}`, me)
	post(h, target, `{"action":"reset"}`, me)
	require.Equal(t, []dashboard.Change{{Key: "/a", Action: "force-open", For: time.Minute}, {Key: "/a", Action: "reset"}}, told)
}

func TestAction_IsDoneByItsName(t *testing.T) {
	var done []string
	h := dashboard.Handler(source{}, anybody,
		dashboard.WithAction("break", func(context.Context) error { done = append(done, "break"); return nil }),
		dashboard.WithAction("heal & go", func(context.Context) error { return errSecret }))
	require.Equal(t, []string{"break", "heal & go"}, listed(t, h, "").Actions)
	w := post(h, "/api/v1/actions?name=break", `{}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.JSONEq(t, `{}`, w.Body.String())
	w = post(h, "/api/v1/actions?name=heal+%26+go", ``)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, "the action failed\n", w.Body.String())
	require.Equal(t, []string{"break"}, done)
}

func FuzzAdmin_NeverPanicsAndMakesNothing(f *testing.F) {
	f.Add("key=/a", `{"action":"force-open","for":"1m"}`)
	f.Add("id=x&key=%ff", `{"action":"reset"}`)
	f.Add("key=/a;id=1", `{`)
	f.Fuzz(func(t *testing.T, query, body string) {
		g := shop("/a")
		h := dashboard.Handler(breaker.SourceOf(g), anybody)
		w := post(h, "/api/v1/breakers", body, func(r *http.Request) { r.URL.RawQuery = query })
		require.Contains(t, []int{200, 400, 404}, w.Code)
		w = get(h, "/api/v1/breakers", func(r *http.Request) { r.URL.RawQuery = query })
		require.Contains(t, []int{200, 400, 404}, w.Code)
		require.Equal(t, 1, g.Len())
	})
}
