package dashboard_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/dashboard"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

func ExampleHandler() {
	breakers := group.NewKeyed(func(operation string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(operation))
	})

	mux := http.NewServeMux()
	mux.Handle("/debug/breakers/", dashboard.Handler(breaker.SourceOf(breakers)))

	server := httptest.NewServer(mux)
	defer server.Close()
	page, err := http.Get(server.URL + "/debug/breakers/")
	if err != nil {
		panic(err)
	}
	defer func() { _ = page.Body.Close() }()
	fmt.Println(page.Status, page.Header.Get("Content-Type"))
	// Output: 200 OK text/html; charset=utf-8
}

func ExampleHandler_admin() {
	log := dashboard.NewLog(256)
	breakers := group.NewKeyed(func(operation string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(operation), sre.WithListener(log.Listen))
	})

	handler := dashboard.Handler(breaker.SourceOf(breakers),
		dashboard.WithTitle("orders"),
		dashboard.WithLog(log),
		dashboard.WithAdmin(func(r *http.Request) error {
			if _, password, _ := r.BasicAuth(); password != "from the vault" {
				return errors.New("no")
			}
			return nil
		}),
		dashboard.WithAudit(func(r *http.Request, c dashboard.Change) {
			user, _, _ := r.BasicAuth()
			slog.Info("breaker overruled", "by", user, "breaker", c.Key, "action", c.Action, "for", c.For)
		}))
	mux := http.NewServeMux()
	mux.Handle("/debug/breakers/", handler)
}
