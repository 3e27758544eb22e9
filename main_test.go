package breaker_test

import (
	"sync"
	"testing"

	"github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trio is a breaker with aegis' three methods and no more. It answers Allow
// with its rejection and writes down what it is told.
type trio struct {
	mu        sync.Mutex
	rejection error
	told      []string
}

func (b *trio) tell(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, what)
}

func (b *trio) Allow() error {
	b.tell("Allow")
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rejection
}

func (b *trio) MarkSuccess() { b.tell("MarkSuccess") }
func (b *trio) MarkFailed()  { b.tell("MarkFailed") }

func (b *trio) reject(with error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rejection = with
}

// heard returns what the breaker was told and forgets it.
func (b *trio) heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := b.told
	b.told = nil
	return told
}

// ignoringTrio is a trio that takes ignored outcomes too.
type ignoringTrio struct{ trio }

func (b *ignoringTrio) MarkIgnored() { b.tell("MarkIgnored") }

// willing are all kinds of breakers that hand out permits, as ones that never
// reject.
var willing = []struct {
	name string
	make func() breaker.Breaker
}{
	{"sre", func() breaker.Breaker { return sre.NewBreaker(sre.WithRequest(1e9)) }},
	{"adapted aegis", func() breaker.Breaker {
		return breaker.Adapt(aegissre.NewBreaker(aegissre.WithRequest(1e9)))
	}},
	{"adapted fake", func() breaker.Breaker { return breaker.Adapt(&trio{}) }},
}

// unwilling are all kinds of breakers that hand out permits, as ones that
// reject the next call, or nearly so: see mustReject.
var unwilling = []struct {
	name string
	make func() breaker.Breaker
}{
	{"sre", func() breaker.Breaker {
		b := sre.NewBreaker(sre.WithRequest(1), sre.WithWindow(longWindow))
		failOften(b)
		return b
	}},
	{"adapted aegis", func() breaker.Breaker {
		b := aegissre.NewBreaker(aegissre.WithRequest(1), aegissre.WithWindow(longWindow))
		failOften(b)
		return breaker.Adapt(b)
	}},
	{"adapted fake", func() breaker.Breaker {
		return breaker.Adapt(&trio{rejection: circuitbreaker.ErrNotAllowed})
	}},
}

// failOften makes an adaptive breaker reject all but one call in ten thousand.
func failOften(b circuitbreaker.CircuitBreaker) {
	for range 10_000 {
		b.MarkFailed()
	}
}
