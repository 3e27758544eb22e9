package dashboard

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Option configures [Handler].
type Option func(*options)

type options struct {
	title     string
	note      func() string
	log       *Log
	hosts     []string
	authorize func(*http.Request) error
	audit     func(*http.Request, Change)
	actions   []action
}

type action struct {
	name string
	do   func(context.Context) error
}

// WithTitle sets the title of the page, as the name of the service; the default
// is "breakers".
func WithTitle(title string) Option { return func(o *options) { o.title = title } }

// WithNote adds a line below the title, as the name of the instance. It is asked
// for at each look, maybe by several goroutines at once. It panics if note is
// nil.
func WithNote(note func() string) Option {
	if note == nil {
		panic("dashboard: WithNote: the function is nil")
	}
	return func(o *options) { o.note = note }
}

// WithLog shows what l holds as the log of transitions. Without it, the browser
// makes the log of what it sees from one look to the next: the transitions
// before the page was opened are missing then, and those between two looks have
// no time and no cause but for the last. It panics if l is nil.
func WithLog(l *Log) Option {
	if l == nil {
		panic("dashboard: WithLog: the log is nil")
	}
	return func(o *options) { o.log = l }
}

// WithAllowedHosts lets in requests only to these hosts, by their Host header,
// and answers 403 to others. A host without a port means any port. That keeps
// out a web site which points a name of its own at the address of the page. By
// default every host is let in. It panics if there is no host, or an empty one.
func WithAllowedHosts(hosts ...string) Option {
	if len(hosts) == 0 {
		panic("dashboard: WithAllowedHosts: no host")
	}
	allowed := make([]string, len(hosts))
	for i, host := range hosts {
		if host == "" {
			panic("dashboard: WithAllowedHosts: a host is empty")
		}
		allowed[i] = strings.ToLower(host)
	}
	return func(o *options) { o.hosts = append(o.hosts, allowed...) }
}

// WithAdmin lets those overrule breakers for whom authorize returns nil. It is
// asked about each request that changes something, after that was found not to
// come from a foreign web site, and may be called by several goroutines at
// once. The text of its error reaches nobody. It must not read the body. It
// panics if authorize is nil.
//
// A breaker is overruled for a time, 15 minutes by default and 24 hours at most,
// and it is one of this process: others of the same service go on by themselves.
func WithAdmin(authorize func(*http.Request) error) Option {
	if authorize == nil {
		panic("dashboard: WithAdmin: the function is nil")
	}
	return func(o *options) { o.authorize = authorize }
}

// Change is what somebody did to a breaker.
type Change struct {
	// Key and Overflow say which breaker it was, as in breaker.Listed.
	Key      string
	Overflow bool
	// Action is "auto", "force-open", "force-closed", "dry-run" or "reset".
	Action string
	// For is how long it lasts; 0 for auto and reset.
	For time.Duration
}

// WithAudit sets what is told each change that was made by [WithAdmin], in the
// goroutine of the request, after the change: the request knows who it was. It
// panics if audit is nil.
func WithAudit(audit func(*http.Request, Change)) Option {
	if audit == nil {
		panic("dashboard: WithAudit: the function is nil")
	}
	return func(o *options) { o.audit = audit }
}

// WithAction adds a button of that name to the page, for those whom [WithAdmin]
// lets: Handler panics if it is not there, too, or if two actions have one name.
// If do returns an error, the page says that the action failed, and no more. It
// panics if name is empty or do is nil.
func WithAction(name string, do func(context.Context) error) Option {
	switch {
	case name == "":
		panic("dashboard: WithAction: the name is empty")
	case do == nil:
		panic("dashboard: WithAction: the function is nil")
	}
	return func(o *options) { o.actions = append(o.actions, action{name, do}) }
}

func (o *options) check() {
	seen := make(map[string]bool)
	for _, a := range o.actions {
		if seen[a.name] {
			panic("dashboard: WithAction(" + a.name + "): want another name for each")
		}
		seen[a.name] = true
	}
	switch {
	case o.authorize != nil:
	case len(o.actions) > 0:
		panic("dashboard: WithAction: want WithAdmin, too")
	case o.audit != nil:
		panic("dashboard: WithAudit: want WithAdmin, too")
	}
}
