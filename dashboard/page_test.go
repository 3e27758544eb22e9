package dashboard_test

import (
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/dashboard"
)

// files are those of the page, by what they are asked for.
func files(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	require.NoError(t, fs.WalkDir(os.DirFS("page"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join("page", name))
		all[strings.TrimSuffix(name, "index.html")] = string(content)
		return err
	}))
	require.Contains(t, all, "")
	return all
}

func TestPage_IsBelow40KBInAll(t *testing.T) {
	h := dashboard.Handler(source{})
	total := 0
	for name := range files(t) {
		total += get(h, "/"+name).Body.Len()
	}
	require.Greater(t, total, 10_000)
	require.Less(t, total, 40_000)
}

func TestPage_SaysItsTypesWhateverTheMachineKnows(t *testing.T) {
	h := dashboard.Handler(source{})
	types := map[string]string{"": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	for name, content := range files(t) {
		w := get(h, "/debug/breakers/"+name)
		require.Equal(t, http.StatusOK, w.Code, name)
		require.Equal(t, types[filepath.Ext(name)], w.Header().Get("Content-Type"), name)
		require.Equal(t, content, w.Body.String(), name)
	}
}

func TestPage_NamesNothingForeignAndNoCodeInTheMarkup(t *testing.T) {
	for name, content := range files(t) {
		content = strings.ReplaceAll(content, `http://www.w3.org/2000/svg`, "")
		require.NotRegexp(t, `(?i)https?:|"//|@import|\bdata:|javascript:`, content, name)
		require.NotRegexp(t, `(?i)innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc`, content, name)
		if name == "" {
			require.NotRegexp(t, `(?i)<style|\sstyle=|\son[a-z]+=|<form|<base`, content)
			require.NotRegexp(t, `<script[^>]*>[^<]`, content)
		}
	}
}

func TestHandler_EveryAnswerHasTheSecurityHeaders(t *testing.T) {
	h := dashboard.Handler(source{}, anybody, dashboard.WithAllowedHosts("example.com"))
	for _, w := range []*httptest.ResponseRecorder{
		get(h, "/"), get(h, "/page.css"), get(h, "/page.js"), get(h, "/icon.svg"), get(h, "/none.js"), get(h, "/none"),
		get(h, "/api/v1/breakers"), get(h, "/api/v1/breakers?limit=0"), get(h, "/api/v1/events"),
		post(h, "/api/v1/breakers?key=none", `{"action":"auto"}`), ask(h, http.MethodDelete, "/"),
		get(h, "/", func(r *http.Request) { r.Host = "evil.example" }),
		post(h, "/api/v1/breakers?key=none", "{}", withHeader("Sec-Fetch-Site", "cross-site")),
	} {
		require.Equal(t, policy, w.Header().Get("Content-Security-Policy"))
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
		require.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"))
		require.NotContains(t, w.Header(), "Access-Control-Allow-Origin")
	}
}

func TestHandler_WorksBelowAnyPrefix(t *testing.T) {
	h := dashboard.Handler(breaker.SourceOf(shop("/a")))
	plain, stripped, deep := http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
	plain.Handle("/debug/breakers/", h)
	stripped.Handle("/debug/breakers/", http.StripPrefix("/debug/breakers", h))
	deep.Handle("/debug/breakers/", http.StripPrefix("/debug/breakers/", h))
	kratos, strippedByKratos := khttp.NewServer(), khttp.NewServer()
	kratos.HandlePrefix("/debug/breakers/", h)
	strippedByKratos.HandlePrefix("/debug/breakers/", http.StripPrefix("/debug/breakers/", h))
	for name, mounted := range map[string]http.Handler{
		"mux": plain, "stripped": stripped, "stripped with the slash": deep, "kratos": kratos, "kratos, stripped": strippedByKratos,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(mounted)
			defer server.Close()
			for path, want := range map[string]string{
				"": "<!doctype html>", "page.js": "import", "page.css": ":root", "api/v1/breakers": `"key":"/a"`,
			} {
				response, err := server.Client().Get(server.URL + "/debug/breakers/" + path)
				require.NoError(t, err)
				body := make([]byte, 2000)
				n, _ := response.Body.Read(body)
				require.NoError(t, response.Body.Close())
				require.Equal(t, http.StatusOK, response.StatusCode, path)
				require.Contains(t, string(body[:n]), want, path)
			}
		})
	}
}

func TestHandler_AddsAMissingSlash(t *testing.T) {
	h := dashboard.Handler(source{})
	browser := withHeader("Accept", "text/html,application/xhtml+xml")
	stripped := http.StripPrefix("/debug/breakers", h)
	for _, w := range []*httptest.ResponseRecorder{
		get(h, "/debug/breakers", browser), get(h, "/debug/breakers?x=/", browser),
		get(stripped, "/debug/breakers"), get(stripped, "/debug/breakers?x=/"),
	} {
		require.Equal(t, http.StatusTemporaryRedirect, w.Code)
		require.Equal(t, "./breakers/", w.Header().Get("Location"))
	}
	require.Equal(t, http.StatusOK, get(stripped, "/debug/breakers/").Code)
	require.Equal(t, http.StatusNotFound, get(h, "/debug/breakers").Code, "a script made a mistake")
	require.Equal(t, http.StatusNotFound, get(h, "/debug/breakers/api/v2/breakers").Code)
	require.Equal(t, "./javascript:alert%281%29/", get(h, "/x/javascript:alert%281%29", browser).Header().Get("Location"))
	require.Equal(t, "./evil.example/", get(h, "//evil.example", browser).Header().Get("Location"))

	// A request that no server has read has no RequestURI.
	r, err := http.NewRequest(http.MethodGet, "http://example.com", http.NoBody)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
}

func TestHandler_AnswersOtherMethodsWithThoseThatThereAre(t *testing.T) {
	h := dashboard.Handler(source{}, anybody, dashboard.WithLog(dashboard.NewLog(1)))
	for path, allow := range map[string]string{
		"/": "GET, HEAD", "/page.js": "GET, HEAD", "/api/v1/events": "GET, HEAD",
		"/api/v1/breakers": "GET, HEAD, POST", "/api/v1/actions": "POST",
	} {
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "BREAK"} {
			w := ask(h, method, path)
			require.Equal(t, http.StatusMethodNotAllowed, w.Code, "%s %s", method, path)
			require.Equal(t, allow, w.Header().Get("Allow"), "%s %s", method, path)
		}
	}
	require.Equal(t, http.StatusMethodNotAllowed, get(h, "/api/v1/actions").Code)
	require.Equal(t, http.StatusMethodNotAllowed, ask(h, http.MethodPost, "/").Code)
	require.Equal(t, http.StatusOK, ask(h, http.MethodHead, "/api/v1/breakers").Code)
}

func TestHandler_ServesNoFileButThoseOfThePage(t *testing.T) {
	h := dashboard.Handler(source{})
	for _, path := range []string{
		"/index.html", "/dashboard.go", "/page", "/..%2fdashboard.go", "/%2e%2e/dashboard.go", "/none.css", "/.js", "/page.js/x",
	} {
		require.Equal(t, http.StatusNotFound, get(h, path).Code, path)
	}
}

func TestHandler_LetsInAllowedHostsOnly(t *testing.T) {
	h := dashboard.Handler(source{}, dashboard.WithAllowedHosts("Ops.example", "127.0.0.1:8099"), dashboard.WithAllowedHosts("::1"))
	for host, code := range map[string]int{
		"ops.example": 200, "OPS.example:8080": 200, "127.0.0.1:8099": 200, "[::1]": 200, "[::1]:80": 200,
		"127.0.0.1": 403, "127.0.0.1:80": 403, "evil.example": 403, "ops.example.evil.example": 403, "": 403, "xops.example": 403,
	} {
		for _, path := range []string{"/", "/page.js", "/api/v1/breakers"} {
			w := get(h, path, func(r *http.Request) { r.Host = host })
			require.Equal(t, code, w.Code, "%s %s", host, path)
		}
	}
}

func TestHandler_TouchesNoDefaultServeMux(t *testing.T) {
	dashboard.Handler(source{})
	for _, path := range []string{"/", "/debug/breakers/", "/debug/vars", "/debug/pprof/", "/api/v1/breakers"} {
		_, pattern := http.DefaultServeMux.Handler(httptest.NewRequest(http.MethodGet, path, http.NoBody))
		require.Empty(t, pattern, path)
	}
}

func TestHandler_PanicsOfWhatCannotBe(t *testing.T) {
	var none *source
	for want, f := range map[string]func(){
		"dashboard: Handler: the source is nil":        func() { dashboard.Handler(nil) },
		"dashboard: Handler: nil Option":               func() { dashboard.Handler(source{}, nil) },
		"dashboard: WithNote: the function is nil":     func() { dashboard.WithNote(nil) },
		"dashboard: WithLog: the log is nil":           func() { dashboard.WithLog(nil) },
		"dashboard: WithAdmin: the function is nil":    func() { dashboard.WithAdmin(nil) },
		"dashboard: WithAudit: the function is nil":    func() { dashboard.WithAudit(nil) },
		"dashboard: WithAudit: want WithAdmin, too":    func() { dashboard.Handler(source{}, dashboard.WithAudit(func(*http.Request, dashboard.Change) {})) },
		"dashboard: WithAllowedHosts: no host":         func() { dashboard.WithAllowedHosts() },
		"dashboard: WithAllowedHosts: a host is empty": func() { dashboard.WithAllowedHosts("a", "") },
		"dashboard: WithAction: the name is empty":     func() { dashboard.WithAction("", noAction) },
		"dashboard: WithAction: the function is nil":   func() { dashboard.WithAction("x", nil) },
		"dashboard: WithAction: want WithAdmin, too":   func() { dashboard.Handler(source{}, dashboard.WithAction("x", noAction)) },
		"dashboard: WithAction(x): want another name for each": func() {
			dashboard.Handler(source{}, anybody, dashboard.WithAction("x", noAction), dashboard.WithAction("x", noAction))
		},
		"dashboard: NewLog(0): want a number in [1, 1000]":    func() { dashboard.NewLog(0) },
		"dashboard: NewLog(1001): want a number in [1, 1000]": func() { dashboard.NewLog(1001) },
		"dashboard: NewLog(-1): want a number in [1, 1000]":   func() { dashboard.NewLog(-1) },
	} {
		require.PanicsWithValue(t, want, f)
	}
	require.Panics(t, func() { dashboard.Handler(none) })
}

func TestPage_TextsCanBeReadInLightAndDark(t *testing.T) {
	css := files(t)["page.css"]
	light, dark, ok := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	require.True(t, ok)
	tokens := tokensOf(light[:strings.Index(light, "}")])
	darker := make(map[string]float64)
	for name, l := range tokens {
		darker[name] = l
	}
	for name, l := range tokensOf(dark[:strings.Index(dark, "}")]) {
		require.Contains(t, tokens, name)
		darker[name] = l
	}
	tokens["white"], darker["white"] = 1, 1
	for theme, tokens := range map[string]map[string]float64{"light": tokens, "dark": darker} {
		for text, grounds := range map[string][]string{
			"ink":       {"ground", "panel", "chosen", "open-tint"},
			"muted":     {"ground", "panel", "chosen", "open-tint"},
			"open":      {"ground", "panel", "open-tint", "chosen"},
			"half-open": {"panel", "chosen"},
			"closed":    {"panel", "chosen"},
			"overruled": {"panel", "chosen"},
			"failed":    {"panel"},
			"white":     {"open-fill"},
			"panel":     {"ink"},
		} {
			for _, ground := range grounds {
				a, b := tokens[text]+0.05, tokens[ground]+0.05
				require.GreaterOrEqual(t, math.Max(a, b)/math.Min(a, b), 4.5, "%s: %s on %s", theme, text, ground)
			}
		}
	}
}

// tokensOf returns the relative luminance of each color, as WCAG reckons it.
func tokensOf(css string) map[string]float64 {
	tokens := make(map[string]float64)
	for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		rgb, _ := strconv.ParseUint(m[2], 16, 32)
		channel := func(shift int) float64 {
			c := float64(rgb>>shift&0xff) / 255
			if c <= 0.04045 {
				return c / 12.92
			}
			return math.Pow((c+0.055)/1.055, 2.4)
		}
		tokens[m[1]] = 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
	}
	return tokens
}
