package scoreboard

import (
	"math/rand/v2"
	"time"

	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/sre"
)

// policy is a way to decide about calls.
type policy struct {
	name  string
	about string
	// make returns a new breaker. A model draws from r; a real breaker has a
	// chance of its own.
	make func(r *rand.Rand) breaker.Acquirer
}

// policies are all policies of the scoreboard, in its order.
var policies = []policy{
	ours,
	{
		"classic", "`sre.NewBreaker(sre.Classic())`, which decides as aegis does",
		func(r *rand.Rand) breaker.Acquirer { return sre.NewBreaker(sre.Classic(), sre.WithRandom(r.Float64)) },
	},
	aegis,
	{
		"Kratos v3", "a model of the breaker inside of Kratos v3.0.0: the maths of aegis with K = 2 and a gate of 20 calls",
		func(r *rand.Rand) breaker.Acquirer { return newKratosV3(r) },
	},
	{
		"go-zero", "a model of go-zero v1.10.3: K falls from 1.5 to 1.1, one call per second is let through",
		func(r *rand.Rand) breaker.Acquirer { return newGoZero(r) },
	},
	{
		"Envoy", "a model of Envoy's admission control filter with its defaults, in one worker: rejects at most 80 %",
		func(r *rand.Rand) breaker.Acquirer { return newEnvoy(r) },
	},
	{
		"consecutive", "`circuit` like gobreaker's default: opens after 5 failures in a row, for 60 s, and closes after one probe",
		func(*rand.Rand) breaker.Acquirer {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(5), circuit.WithDelay(60*time.Second))
		},
	},
	{
		"rate", "`circuit`: opens when half of at least 20 calls in 10 s failed, for 5 s, and closes after one probe",
		func(*rand.Rand) breaker.Acquirer {
			return circuit.NewBreaker(circuit.WithFailureRate(0.5, 20, 10*time.Second), circuit.WithDelay(5*time.Second))
		},
	},
	none,
}

var ours = policy{
	"sre", "`sre.NewBreaker()`, the default of this module",
	func(r *rand.Rand) breaker.Acquirer { return sre.NewBreaker(sre.WithRandom(r.Float64)) },
}

var aegis = policy{
	"aegis", "the real aegis v0.2.0, marked as Kratos' middleware marks it: a rejection is a failure",
	func(*rand.Rand) breaker.Acquirer { return breaker.Adapt(aegissre.NewBreaker()) },
}

var none = policy{
	"none", "no breaker: every call is allowed",
	func(*rand.Rand) breaker.Acquirer { return open{} },
}

// open allows every call.
type open struct{}

func (open) Acquire() (breaker.Permit, error) { return breaker.Permit{}, nil }
