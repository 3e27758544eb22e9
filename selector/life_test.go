package selector_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratos "github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/selector/p2c"
	"github.com/go-kratos/kratos/v2/selector/random"
	"github.com/go-kratos/kratos/v2/selector/wrr"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/selector"
)

var balancers = map[string]func() kratos.Selector{
	"wrr":    func() kratos.Selector { return wrr.New() },
	"p2c":    func() kratos.Selector { return p2c.New() },
	"random": func() kratos.Selector { return random.New() },
}

func TestNodes_EjectADeadNodeProbeItOnceASecondAndUseItAgainWithinTwoSeconds(t *testing.T) {
	for name, balancer := range balancers {
		for _, rate := range []int{20, 100, 1000} {
			t.Run(fmt.Sprintf("%s, %d a second", name, rate), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPoolOf(t, selector.NewNodes(), balancer(), nodesOf(2))
					_, failed := p.traffic(rate, 5*time.Second)
					require.Zero(t, failed)

					p.kill(a)
					p.traffic(rate, 3*time.Second)
					called, failed := p.traffic(rate, 30*time.Second)
					require.Equal(t, called[a], failed)
					require.LessOrEqual(t, called[a], 36, "probes")
					require.GreaterOrEqual(t, called[a], 20, "probes")
					require.Zero(t, p.breaker(a).Snapshot().Totals.Ignored, "the call of a permit went elsewhere")

					p.heal(a)
					p.traffic(rate, 2*time.Second)
					called, failed = p.traffic(rate, 100*time.Second)
					require.Zero(t, failed)
					require.InDelta(t, 50*rate, called[a], float64(10*rate), "of %d", 100*rate) // nine standard errors of 2000 calls
				})
			})
		}
	}
}

func TestNodes_ADeadNodeOfAThousandCallsASecondCostsAFifthOfASecondOfItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2))
		p.traffic(1000, 5*time.Second)
		p.kill(a)
		_, failed := p.traffic(1000, 2*time.Second)
		require.Less(t, failed, 100)
	})
}

// Other breakers than the default ones. That of aegis comes back late, whoever
// hosts it.
func TestNodes_TakeAnyBreaker(t *testing.T) {
	for name, test := range map[string]struct {
		breakers selector.Option
		back     time.Duration
	}{
		"circuit": {selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(5), circuit.WithDelay(time.Second))
		}), 1100 * time.Millisecond},
		"several probes": {selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(5), circuit.WithDelay(time.Second), circuit.WithProbes(3, 4))
		}), 1100 * time.Millisecond},
		"aegis": {selector.WithCircuitBreaker(func() aegis.CircuitBreaker { return aegissre.NewBreaker() }), 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, nodesOf(3), test.breakers)
				p.traffic(1000, 5*time.Second)
				p.kill(a)
				p.traffic(1000, 3*time.Second)
				called, _ := p.traffic(1000, time.Minute)
				require.NotZero(t, called[a])
				require.Less(t, called[a], 500, "of 60000")
				p.heal(a)
				p.until(1000, test.back, func() bool { return !p.ejected(a) })
				p.traffic(1000, time.Minute) // that of aegis goes on rejecting some
				called, _ = p.traffic(1000, 10*time.Second)
				require.InDelta(t, 3333, called[a], 200)
			})
		})
	}
}

// To the default breaker, what fails half of the time is a backend of which a
// part is broken, and fewer calls would not help.
func TestNodes_ANodeThatFailsEveryOtherCallIsEjectedByAFailureRate(t *testing.T) {
	for name, test := range map[string]struct {
		opts        []selector.Option
		least, most int
	}{
		"default": {nil, 1500, 2500},
		"failure rate": {[]selector.Option{selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithFailureRate(0.3, 20, 10*time.Second), circuit.WithDelay(time.Second), circuit.WithProbes(10, 10))
		})}, 1, 500},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, nodesOf(2), test.opts...)
				p.fails = func(address string, n int) bool { return address == a && n%2 == 0 }
				p.traffic(100, 20*time.Second)
				called, _ := p.traffic(100, 40*time.Second)
				require.GreaterOrEqual(t, called[a], test.least, "of 4000 calls")
				require.LessOrEqual(t, called[a], test.most, "of 4000 calls")
			})
		})
	}
}

func TestNodes_WithConsecutiveFailuresADeadNodeCostsThatMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2), consecutive)
		p.traffic(1000, time.Second)
		p.kill(a)
		_, failed := p.traffic(1000, 500*time.Millisecond)
		require.Equal(t, 3, failed)
	})
}
