package group_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/group"
)

func FuzzGet(f *testing.F) {
	f.Add("", "", uint16(1))
	f.Add("a", "a", uint16(300))
	f.Add("\xff\x00", "é", uint16(128))
	f.Add(strings.Repeat("p", 242)+"#1", strings.Repeat("p", 242)+"#2", uint16(2))
	f.Fuzz(func(t *testing.T, a, b string, times uint16) {
		if len(a) > 0 && len(a)*int(times) < 1<<20 {
			a = strings.Repeat(a, int(times))
		}
		g := group.NewKeyed(new(maker).keyed)
		va, vb := g.Get(a), g.Get(b)
		require.Equal(t, a == b, va == vb, "equal keys have one value, and others have not")
		require.Same(t, va, g.Get(strings.Clone(a)))
		require.Same(t, vb, g.Get(strings.Clone(b)))
		if len(a) <= 256 {
			require.Equal(t, a, va.key)
		}
		for key, v := range g.All() {
			require.Equal(t, key, v.key)
			require.LessOrEqual(t, len(key), 256)
		}
	})
}
