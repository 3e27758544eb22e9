package breaker_test

import (
	"slices"
	"strings"
	"testing"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

func listed(s breaker.Source) []breaker.Listed {
	return slices.SortedFunc(s.Breakers(), func(a, b breaker.Listed) int { return strings.Compare(a.Key, b.Key) })
}

func TestSource_OfAGroupListsItsBreakersAndTheOverflow(t *testing.T) {
	g := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) }, group.WithLimit(2))
	s := breaker.SourceOf(g)
	require.Empty(t, listed(s))
	require.Equal(t, breaker.Keys{Limit: 2}, s.Keys())

	a, b, shared := g.Get("a"), g.Get("b"), g.Get("c")
	require.Equal(t, []breaker.Listed{{Overflow: true, Breaker: shared}, {Key: "a", Breaker: a}, {Key: "b", Breaker: b}}, listed(s))
	require.Equal(t, breaker.Keys{Held: 2, Limit: 2, Overflows: 1}, s.Keys())
	for range s.Breakers() {
		break // a consumer may stop anywhere
	}
}

func TestSource_LeavesOutWhatCannotBeLookedInto(t *testing.T) {
	g := group.NewKeyed(func(key string) aegis.CircuitBreaker {
		if key == "seen" {
			return breaker.Adapt(new(breakertest.Trio))
		}
		return new(breakertest.Trio)
	})
	g.Get("seen")
	g.Get("unseen")
	all := listed(breaker.SourceOf(g))
	require.Len(t, all, 1)
	require.Equal(t, "seen", all[0].Key)
}

func TestSources_ListOneAfterTheOther(t *testing.T) {
	one := group.NewGroup(func() *sre.Breaker { return sre.NewBreaker() }, group.WithLimit(1))
	two := group.NewGroup(func() breaker.Breaker { return sre.NewBreaker() })
	one.Get("x")
	one.Get("y")
	two.Get("z")
	s := breaker.Sources(breaker.SourceOf(one), breaker.SourceOf(two))
	require.Len(t, listed(s), 3)
	require.Equal(t, breaker.Keys{Held: 2, Limit: 1 + 256, Overflows: 1}, s.Keys())
	for range s.Breakers() {
		break
	}
}

// ruled is a source that has rules.
type ruled struct {
	breaker.Source
	reloads breaker.Reloads
}

func (r *ruled) Reloads() breaker.Reloads { return r.reloads }

func TestSources_AddUpTheReloadsOfThoseThatHaveRules(t *testing.T) {
	type reloader interface{ Reloads() breaker.Reloads }
	plain := breaker.SourceOf(group.NewGroup(func() *sre.Breaker { return sre.NewBreaker() }))
	require.NotImplements(t, (*reloader)(nil), plain)
	require.NotImplements(t, (*reloader)(nil), breaker.Sources(plain, plain), "it would be there with nothing to say")

	one, two := &ruled{Source: plain}, &ruled{Source: plain}
	all := breaker.Sources(plain, one, breaker.Sources(two))
	require.Implements(t, (*reloader)(nil), all)
	one.reloads = breaker.Reloads{Applied: 1, Unchanged: 2, Rejected: 3}
	two.reloads = breaker.Reloads{Applied: 10, Unchanged: 20, Rejected: 30}
	require.Equal(t, breaker.Reloads{Applied: 11, Unchanged: 22, Rejected: 33}, all.(reloader).Reloads())
	require.Equal(t, breaker.Keys{Limit: 3 * 256}, all.Keys(), "it still is the source of them all")
}

func TestSource_OfNothingPanics(t *testing.T) {
	require.PanicsWithValue(t, "breaker: SourceOf: the group is nil", func() { breaker.SourceOf[breaker.Breaker](nil) })
	require.PanicsWithValue(t, "breaker: SourceOf: the group is nil", func() { breaker.SourceOf((*group.Group[*sre.Breaker])(nil)) })
	require.PanicsWithValue(t, "breaker: Sources: a source is nil", func() { breaker.Sources(nil) })
}
