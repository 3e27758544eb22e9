package scoreboard

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	write = flag.String("write", "", "directory to write the whole scoreboard to")
	only  = flag.String("only", "", "with -write, the policies to measure, separated by commas; all if empty")
)

func TestScoreboard_IsWrittenOnRequest(t *testing.T) {
	if *write == "" {
		t.Skip("it takes minutes: make scoreboard")
	}
	if *only != "" {
		names := strings.Split(*only, ",")
		all := policies
		defer func() { policies = all }()
		policies = slices.DeleteFunc(slices.Clone(all), func(p policy) bool { return !slices.Contains(names, p.name) })
	}
	var mu sync.Mutex
	rs := results{}
	t.Run("measure", func(t *testing.T) {
		for _, j := range jobs() {
			t.Run(j.name(), func(t *testing.T) {
				t.Parallel()
				r := measured(t, j)
				mu.Lock()
				defer mu.Unlock()
				rs[j.key()] = r
			})
		}
	})
	save := func(name string, text []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(*write, name), text, 0o644))
	}
	require.NoError(t, os.MkdirAll(*write, 0o755))
	save("README.md", document(rs))
	for _, sc := range scenarios {
		if sc.plot != "" {
			save(sc.plot+".svg", plot(rs, sc, sc.plotColumn()))
		}
	}
}
