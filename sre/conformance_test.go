package sre_test

import (
	"testing"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

// TestBreaker_Conforms runs what holds for every breaker over one with the
// defaults, one that looks sooner, and classic ones, of which a few failures can
// open the last. The law of classic ones recovers by chance: one outage of a
// thousand takes 44 s, and a tenth as many take ten seconds longer.
func TestBreaker_Conforms(t *testing.T) {
	for _, kind := range []struct {
		name     string
		outage   int
		recovery time.Duration
		opts     []sre.Option
	}{
		{"defaults", 200, 3 * time.Second, nil},
		{"eager", 200, 3 * time.Second, []sre.Option{sre.WithRequest(5), sre.WithSuccess(0.9), sre.WithWindow(time.Second)}},
		{"classic", 1000, 100 * time.Second, []sre.Option{sre.Classic()}},
		{"classic and eager", 1000, 100 * time.Second, []sre.Option{
			sre.Classic(), sre.WithRequest(10), sre.WithSuccess(0.9), sre.WithWindow(time.Second),
		}},
	} {
		breakertest.Run(t, breakertest.Kind{
			Name: kind.name,
			New: func(name string, listeners ...breaker.Listener) breaker.Breaker {
				opts := append([]sre.Option{sre.WithName(name)}, kind.opts...)
				for _, l := range listeners {
					opts = append(opts, sre.WithListener(l))
				}
				return sre.NewBreaker(opts...)
			},
			Outage:   kind.outage,
			Recovery: kind.recovery,
			Named:    true, Listens: true, Controlled: true, Idles: true,
		})
	}
}
