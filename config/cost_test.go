package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

const key = "/helloworld.v1.Greeter/SayHello"

func TestAdmit_OfAKeyThatIsThereDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := config.New(manyRules(t))
	succeed(r.Breaker("http", key), 1)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		p, _, _ := r.Admit("http", key)
		p.Done(breaker.Success)
	}))
}

// manyRules is a set of which the last rule is that of key.
func manyRules(t testing.TB) *config.Set {
	text := "rules:\n"
	for range 500 {
		text += "- {match: \"/*/no\", algorithm: off}\n"
	}
	return parsed(t, text+"- {match: /hello*}\n")
}

// BenchmarkAdmit compares a call by rules with one by a group. The number of
// rules does not matter.
func BenchmarkAdmit(b *testing.B) {
	g := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) })
	few, many := config.New(parsed(b, "{}")), config.New(manyRules(b))
	for _, bench := range []struct {
		name string
		call func()
	}{
		{"group", func() {
			p, _ := g.Get(key).Acquire()
			p.Done(breaker.Success)
		}},
		{"rules", func() {
			p, _, _ := few.Admit("grpc", key)
			p.Done(breaker.Success)
		}},
		{"500rules", func() {
			p, _, _ := many.Admit("grpc", key)
			p.Done(breaker.Success)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bench.call()
				}
			})
		})
	}
}
