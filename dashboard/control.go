package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/kratos-breaker/breaker"
)

const maxBody = 4 << 10

// admin lets next handle a request that changes something, if its sender may.
func (h *handler) admin(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	if h.authorize == nil {
		fail(w, http.StatusForbidden, "this page can only be looked at")
		return
	}
	if h.authorize(r) != nil {
		fail(w, http.StatusForbidden, "you may not do this")
		return
	}
	// A form of a foreign web site cannot send this type.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "want Content-Type: application/json")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	next(w, r)
}

const (
	defaultFor     = 15 * time.Minute
	minFor, maxFor = time.Second, 24 * time.Hour
)

// parseChange reads what is to be done to a breaker.
func parseChange(body io.Reader) (c Change, err error) {
	var in struct {
		Action string  `json:"action"`
		For    *string `json:"for"`
	}
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return c, errors.New(`body: want {"action": …, "for": …}`)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("body: want one object")
	}
	c.Action = in.Action
	switch in.Action {
	case "auto", "reset":
		if in.For != nil {
			return c, fmt.Errorf("for: %s does not last", in.Action)
		}
		return c, nil
	case "force-open", "force-closed", "dry-run":
	default:
		return c, errors.New("action: want auto, force-open, force-closed, dry-run or reset")
	}
	c.For = defaultFor
	if in.For != nil {
		if c.For, err = time.ParseDuration(*in.For); err != nil || c.For < minFor || c.For > maxFor {
			return c, fmt.Errorf("for: want a duration in [%v, %v]", minFor, maxFor)
		}
	}
	return c, nil
}

func (c Change) apply(b breaker.Controller) {
	switch c.Action {
	case "auto":
		b.SetMode(breaker.Auto)
	case "reset":
		b.Reset()
	case "force-open":
		b.SetModeFor(breaker.ForceOpen, c.For)
	case "force-closed":
		b.SetModeFor(breaker.ForceClosed, c.For)
	case "dry-run":
		b.SetModeFor(breaker.DryRun, c.For)
	}
}

// overrule does to one breaker what the body says. It asks the source for what
// is there: nothing is ever made of a name.
func (h *handler) overrule(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query())
	if err == nil && q.key == nil && q.id == nil {
		err = errors.New("want ?id= or ?key=")
	}
	change, wrong := parseChange(r.Body)
	if err = errors.Join(err, wrong); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	var found []breaker.Listed
	var id string
	for l, its := range h.breakers {
		if q.wants(l, its) {
			found, id = append(found, l), its
		}
	}
	if len(found) == 0 {
		fail(w, http.StatusNotFound, "there is no such breaker")
		return
	}
	b, ok := found[0].Breaker.(breaker.Controller)
	switch {
	case len(found) > 1:
		fail(w, http.StatusConflict, fmt.Sprintf("%d breakers have this key: want ?id=", len(found)))
		return
	case !ok:
		fail(w, http.StatusConflict, "this breaker cannot be overruled")
		return
	}
	change.Key, change.Overflow = found[0].Key, found[0].Overflow
	change.apply(b)
	if h.audit != nil {
		h.audit(r, change)
	}
	v, _ := h.view(found[0], id)
	answer(w, v)
}

// act does an action of WithAction.
func (h *handler) act(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	for _, a := range h.actions {
		if a.name != name {
			continue
		}
		if err := a.do(r.Context()); err != nil {
			fail(w, http.StatusInternalServerError, "the action failed")
			return
		}
		answer(w, struct{}{})
		return
	}
	fail(w, http.StatusNotFound, "there is no such action")
}
