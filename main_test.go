package breaker_test

import (
	"testing"

	"github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// willing are all kinds of breakers that hand out permits, as ones that never
// reject. Only the classic decision of sre can be told not to see an outage.
var willing = []struct {
	name string
	make func() breaker.Breaker
}{
	{"sre", func() breaker.Breaker { return sre.NewBreaker(sre.Classic(), sre.WithRequest(1e9)) }},
	{"adapted aegis", func() breaker.Breaker {
		return breaker.Adapt(aegissre.NewBreaker(aegissre.WithRequest(1e9)))
	}},
	{"adapted fake", func() breaker.Breaker { return breaker.Adapt(&breakertest.Trio{}) }},
}

// unwilling are all kinds of breakers that hand out permits, as ones that
// reject the next call, or nearly so: see breakertest.MustReject.
var unwilling = []struct {
	name string
	make func() breaker.Breaker
}{
	{"sre", func() breaker.Breaker {
		b := sre.NewBreaker(sre.Classic(), sre.WithRequest(1), sre.WithWindow(longWindow))
		failOften(b)
		return b
	}},
	{"adapted aegis", func() breaker.Breaker {
		b := aegissre.NewBreaker(aegissre.WithRequest(1), aegissre.WithWindow(longWindow))
		failOften(b)
		return breaker.Adapt(b)
	}},
	{"adapted fake", func() breaker.Breaker {
		return breaker.Adapt(&breakertest.Trio{Rejection: circuitbreaker.ErrNotAllowed})
	}},
}

// failOften makes an adaptive breaker reject all but one call in ten thousand.
func failOften(b circuitbreaker.CircuitBreaker) {
	for range 10_000 {
		b.MarkFailed()
	}
}
