package dashboard

import (
	"embed"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
)

// Handler returns the page of the breakers of source, and their JSON. It panics
// if source is nil.
//
// A request costs as much as a Snapshot of each breaker, and some of them are
// sorted and written out: less than 10 ms for 256. If the source, or a function
// that was given with an option, panics, the answer is 500, and slog tells about
// it once a minute.
func Handler(source breaker.Source, opts ...Option) http.Handler {
	if v := reflect.ValueOf(source); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("dashboard: Handler: the source is nil")
	}
	h := &handler{source: source, seed: maphash.MakeSeed(), options: options{title: "breakers"}}
	for _, opt := range opts {
		if opt == nil {
			panic("dashboard: Handler: nil Option")
		}
		opt(&h.options)
	}
	h.check()
	return h
}

type handler struct {
	source breaker.Source
	options
	crossOrigin http.CrossOriginProtection
	seed        maphash.Seed // of the ids
	complained  atomic.Int64 // when slog was told of a panic, Unix seconds
}

//go:embed page
var page embed.FS

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP answers a request of the page or of a script.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			h.complain(v)
			fail(w, http.StatusInternalServerError, "something panicked; the program's log says what")
		}
	}()
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	switch {
	case !h.isAllowed(r.Host):
		fail(w, http.StatusForbidden, "this host is not allowed")
	case h.crossOrigin.Check(r) != nil:
		fail(w, http.StatusForbidden, "not from another web site")
	default:
		h.route(w, r)
	}
}

func (h *handler) isAllowed(host string) bool {
	if len(h.hosts) == 0 {
		return true
	}
	host = strings.ToLower(host)
	bare := (&url.URL{Host: host}).Hostname()
	return slices.ContainsFunc(h.hosts, func(allowed string) bool {
		return allowed == host || strings.Trim(allowed, "[]") == bare
	})
}

// route looks at the end of the path only: nobody says what the prefix is.
func (h *handler) route(w http.ResponseWriter, r *http.Request) {
	ends := func(with string) bool { return r.URL.Path == with || strings.HasSuffix(r.URL.Path, "/"+with) }
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	posts := r.Method == http.MethodPost
	switch {
	case ends("api/v1/breakers") && reads:
		h.list(w, r)
	case ends("api/v1/breakers") && posts:
		h.admin(w, r, h.overrule)
	case ends("api/v1/breakers"):
		notThisWay(w, "GET, HEAD, POST")
	case ends("api/v1/events") && reads:
		h.events(w, r)
	case ends("api/v1/actions") && posts:
		h.admin(w, r, h.act)
	case ends("api/v1/actions"):
		notThisWay(w, "POST")
	case !reads:
		notThisWay(w, "GET, HEAD")
	default:
		h.file(w, r)
	}
}

// file answers with a file of the page. The page itself is what a path with a
// slash at its end names.
func (h *handler) file(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	if isDir := r.URL.Path == "" || strings.HasSuffix(r.URL.Path, "/"); isDir || !isFile(name) {
		if slash := missingSlash(r, isDir); slash != "" {
			w.Header().Set("Location", slash)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		if !isDir {
			fail(w, http.StatusNotFound, "there is no such page")
			return
		}
		name = "index.html"
	}
	content, err := page.ReadFile("page/" + name)
	if err != nil {
		fail(w, http.StatusNotFound, "there is no such page")
		return
	}
	w.Header().Set("Content-Type", contentTypes[path.Ext(name)])
	_, _ = w.Write(content)
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

func isFile(name string) bool { return name != "index.html" && contentTypes[path.Ext(name)] != "" }

// missingSlash returns where to send a browser that asked for the page without
// a slash at the end: the relative addresses of the page would be wrong. If the
// prefix was stripped, only RequestURI tells. Otherwise the last element may be
// where the handler is mounted, or a mistake: a person gets the page, a script
// the error.
func missingSlash(r *http.Request, isDir bool) string {
	asked, _, _ := strings.Cut(r.RequestURI, "?")
	switch {
	case isDir && (asked == "" || strings.HasSuffix(asked, "/")):
		return ""
	case !isDir && !strings.Contains(r.Header.Get("Accept"), "text/html"):
		return ""
	case !isDir:
		asked = r.URL.EscapedPath()
	}
	return "./" + path.Base(asked) + "/"
}

func notThisWay(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	fail(w, http.StatusMethodNotAllowed, "want one of "+allow)
}

// fail answers with a line of plain text.
func fail(w http.ResponseWriter, status int, text string) { http.Error(w, text, status) }

func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("dashboard: %v", err)) // nothing in v can make it fail
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}

// complain tells slog of a panic, if that was not just now: a page that is open
// asks each second.
func (h *handler) complain(v any) {
	now, last := time.Now().Unix(), h.complained.Load()
	if now-last >= 60 && h.complained.CompareAndSwap(last, now) {
		slog.Error("dashboard: panic", "value", v, "stack", string(debug.Stack()))
	}
}
