package http

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/kratos-breaker/breaker/group"
)

// addresses makes the default keys. It remembers those of hosts without a port,
// so that a call does not allocate for one.
type addresses struct{ http, https *group.Group[address] }

// address is a key, or "" for more hosts than are remembered.
type address string

// Idle lets a group forget an address.
func (address) Idle() bool { return true }

func newAddresses() *addresses {
	with := func(port string) *group.Group[address] {
		return group.NewKeyed(func(host string) address {
			if host == "" {
				return ""
			}
			return address(withPort(host, port))
		})
	}
	return &addresses{http: with("80"), https: with("443")}
}

func (a *addresses) of(req *http.Request) string {
	host := req.URL.Host
	if isAddress(host) { // nearly every call between services, in few instructions
		return host
	}
	host = strings.ToLower(host)
	if host == "" || req.URL.Port() != "" {
		return host
	}
	g, port := a.http, "80"
	switch req.URL.Scheme {
	case "http":
	case "https":
		g, port = a.https, "443"
	default:
		return host
	}
	if known := g.Get(host); known != "" {
		return string(known)
	}
	return withPort(host, port)
}

func withPort(host, port string) string { return strings.TrimSuffix(host, ":") + ":" + port }

// isAddress reports whether host is a key as it is: in lower case, with a port, and
// ASCII.
func isAddress(host string) bool {
	i := len(host) - 1
	for i >= 0 && '0' <= host[i] && host[i] <= '9' {
		i--
	}
	if i < 0 || i == len(host)-1 || host[i] != ':' {
		return false
	}
	for _, c := range []byte(host[:i]) {
		if 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
