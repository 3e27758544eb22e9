package breaker_test

import (
	"testing"
	"time"

	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
)

// TestAdapt_Conforms runs what holds for every breaker over the one of aegis.
// It recovers late, and by chance: it takes its own rejections for failures.
func TestAdapt_Conforms(t *testing.T) {
	breakertest.Run(t, breakertest.Kind{
		Name: "aegis",
		New: func(string, ...breaker.Listener) breaker.Breaker {
			return breaker.Adapt(aegissre.NewBreaker())
		},
		Outage:    1000,
		Recovery:  100 * time.Second,
		Allocates: true,
	})
}
