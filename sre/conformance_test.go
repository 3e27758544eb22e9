package sre_test

import (
	"testing"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

// TestBreaker_Conforms runs what holds for every breaker over one with the
// defaults, and over one that a few failures can open.
func TestBreaker_Conforms(t *testing.T) {
	for name, opts := range map[string][]sre.Option{
		"defaults": nil,
		"eager":    {sre.WithRequest(10), sre.WithSuccess(0.9), sre.WithWindow(time.Second)},
	} {
		breakertest.Run(t, breakertest.Kind{
			Name: name,
			New: func(name string, listeners ...breaker.Listener) breaker.Breaker {
				opts := append([]sre.Option{sre.WithName(name)}, opts...)
				for _, l := range listeners {
					opts = append(opts, sre.WithListener(l))
				}
				return sre.NewBreaker(opts...)
			},
			Outage:   1000,
			Recovery: 40 * time.Second,
			Named:    true, Listens: true, Controlled: true, Idles: true,
		})
	}
}
