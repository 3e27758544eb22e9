package http

import (
	"net/http"
	"strings"

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
	host := strings.ToLower(req.URL.Host)
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
