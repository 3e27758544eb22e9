package scrape_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
)

func TestScrape_CountsWhatCameOfChangesOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	replace := func(yaml string) { // at once, so that nobody sees half of it
		require.NoError(t, os.WriteFile(file+".new", []byte(yaml), 0o600))
		require.NoError(t, os.Rename(file+".new", file))
	}
	replace("default: {sre: {success: 0.9}}")
	rules, err := config.Load(config.File(file), config.WithInterval(10*time.Millisecond))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	following.Go(func() { rules.Follow(ctx) })

	target := newTarget(t)
	target.publish(t, breaker.Sources(breaker.SourceOf(filled(1)), rules))
	requireReloads := func(want breaker.Reloads) {
		require.Eventually(t, func() bool { return rules.Reloads() == want }, 10*time.Second, 10*time.Millisecond)
		scraped := map[string]float64{}
		for _, s := range target.scrape(t) {
			if s.name == "circuitbreaker_config_reloads_total" {
				scraped[s.labels["result"]] = s.value
			}
		}
		require.Equal(t, map[string]float64{
			"applied": float64(want.Applied), "unchanged": float64(want.Unchanged), "rejected": float64(want.Rejected),
		}, scraped)
	}
	requireReloads(breaker.Reloads{})
	replace("default: {sre: {success: 0.8}}")
	requireReloads(breaker.Reloads{Applied: 1})
	replace("default: {sre: {success: 8}}")
	requireReloads(breaker.Reloads{Applied: 1, Rejected: 1})
	replace("default: {sre: {success: 0.80}}")
	requireReloads(breaker.Reloads{Applied: 1, Rejected: 1, Unchanged: 1})
}
