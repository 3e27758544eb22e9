// Package dashboard is a small live page of every breaker, for people, and the
// same as JSON, for scripts.
//
//	mux.Handle("/debug/breakers/", dashboard.Handler(breaker.SourceOf(group)))
//
// With a Kratos server it is the same line:
//
//	srv.HandlePrefix("/debug/breakers/", dashboard.Handler(breaker.SourceOf(group)))
//
// The handler looks at the end of the path only, so it works below any prefix,
// with http.StripPrefix and without. The page asks for JSON each second; all
// history is kept in the browser. While nobody looks, nothing happens: there is
// no goroutine, no timer, and nothing is added to a call.
//
// # Who may see it
//
// The page shows the names of operations and how much they are called. It asks
// nobody who he is: mount it where strangers cannot come, or wrap the handler.
// [WithAllowedHosts] keeps out foreign web sites that point a name of theirs at
// a local address.
//
// Nothing can be changed by it, unless [WithAdmin] says by whom.
//
// # JSON
//
// All paths are relative to the page. Fields may be added within v1.
//
//	GET api/v1/breakers
//
// lists breakers. The parameters are all optional:
//
//	filter  only those with this text in their key or name, in any case
//	key     only those with exactly this key; 404 if there is none
//	id      only the one with this id; 404 if there is none
//	limit   at most so many, 1 to 1000; the default is 256
//	cursor  those after the page that had this as its "next"
//	order   "key", the default, or "notable": those that are not closed or are
//	        overruled, then by the calls offered; it has no "next"
//
// The answer, of which the fields of a breaker are those of [breaker.Snapshot]:
//
//	{
//	  "now": "2006-01-02T15:04:05.999Z",
//	  "title": "orders", "note": "",            // WithTitle, WithNote
//	  "admin": false,                           // whether there is a WithAdmin
//	  "events": true,                           // whether there is a WithLog
//	  "actions": [],                            // WithAction
//	  "keys": {"held": 12, "limit": 256, "overflows": 0},
//	  "states": {"closed": 11, "half-open": 0, "open": 1},  // of all breakers
//	  "overruled": 0,                           // how many are not in mode auto
//	  "unreadable": 0,                          // whose Snapshot panicked: they are left out
//	  "left_out": 0,                            // how many that match are not in this page
//	  "next": "",                               // the cursor of the next page; "" after the last
//	  "breakers": [{
//	    "id": "0m1x…",                          // tells breakers with the same key apart, while they live
//	    "key": "/shop.Orders/Get", "name": "/shop.Orders/Get",
//	    "overflow": false,                      // whether the keys beyond the limit share it
//	    "controllable": true,                   // whether it can be overruled
//	    "mode": "auto", "mode_until": null,
//	    "state": "open", "since": "2006-…", "cause": "5 failures in a row",
//	    "rule": "",
//	    "reject_ratio": 1, "retry_after_ms": 4100,
//	    "window": {"length_ms": 3000, "success": 0, "failure": 5, "rejected": 9, "slow": 0},
//	    "totals": {"offered": 14, "allowed": 5, "rejected": 9, "success": 0, "failure": 5,
//	               "ignored": 0, "in_flight": 0, "would_reject": 0},
//	    "consecutive_successes": 0, "consecutive_failures": 5, "openings": 1,
//	    "transitions": {"closed": {"open": 1}}  // from, to, how often; without zeros
//	  }]
//	}
//
// A time that is not known is null, and so is a reject ratio that is no number.
// A text of more than 1000 bytes is cut, and ends in "…".
//
//	GET api/v1/events?since=
//
// lists what the [Log] holds, oldest first, and 404 if there is none. Since is
// the "next" of an earlier answer; without it, or after a restart of the process,
// all are listed. Missed counts the events since then that the log holds no
// more:
//
//	{"next": "x3f.17", "missed": 0, "events": [
//	  {"name": "/shop.Orders/Get", "from": "closed", "to": "open", "cause": "5 failures in a row", "at": "2006-…"}
//	]}
//
//	POST api/v1/breakers?id=   or   ?key=
//
// with the Content-Type application/json and a body like
//
//	{"action": "force-open", "for": "15m"}
//
// overrules a breaker, or ends that. Actions are auto, force-open, force-closed,
// dry-run and reset. For is how long it lasts, 1s to 24h, for all but auto and
// reset; the default is 15m. The answer is the breaker as in the list, or
//
//	400  the body or a parameter makes no sense
//	403  the caller may not, or comes from a foreign web site
//	404  there is no such breaker
//	409  several have the key, or the one cannot be overruled
//	415  another Content-Type
//
//	POST api/v1/actions?name=
//
// with that Content-Type does a [WithAction].
package dashboard
