package config_test

import (
	"testing"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
	"github.com/kratos-breaker/breaker/internal/breakertest"
)

// TestBreaker_Conforms runs what holds for every breaker over those of rules: as
// they are made, and as several reloads have left them.
func TestBreaker_Conforms(t *testing.T) {
	const (
		adaptive   = `{}`
		threeState = `{default: {algorithm: circuit, circuit: {consecutive_failures: 20, delay: 1s, probe_lease: 24h}}}`
	)
	for _, kind := range []struct {
		name     string
		sets     []string
		outage   int
		certain  bool
		recovery time.Duration
	}{
		{"sre", []string{adaptive}, 200, false, 3 * time.Second},
		{"circuit", []string{threeState}, 20, true, 2 * time.Second},
		{"sre after circuit", []string{threeState, `{default: {algorithm: off}}`, adaptive}, 200, false, 3 * time.Second},
		{"circuit after sre", []string{adaptive, `{default: {sre: {window: 1s}}}`, threeState}, 20, true, 2 * time.Second},
	} {
		var sets []*config.Set
		for _, text := range kind.sets {
			sets = append(sets, parsed(t, text))
		}
		breakertest.Run(t, breakertest.Kind{
			Name: kind.name,
			New: func(name string, listeners ...breaker.Listener) breaker.Breaker {
				var opts []config.Option
				for _, l := range listeners {
					opts = append(opts, config.WithListener(l))
				}
				r := config.New(sets[0], opts...)
				b := r.Breaker("other", name)
				b.Snapshot()
				for _, s := range sets[1:] {
					r.Apply(s)
				}
				return &ruleless{b.(marker)}
			},
			Outage: kind.outage, Certain: kind.certain, Recovery: kind.recovery,
			Named: true, Listens: true, Controlled: true,
		})
	}
}

type marker interface {
	breaker.Controller
	MarkIgnored()
}

// ruleless has no rule in its snapshots, as the suite wants it.
type ruleless struct{ marker }

func (r *ruleless) Snapshot() breaker.Snapshot {
	s := r.marker.Snapshot()
	s.Rule = ""
	return s
}
