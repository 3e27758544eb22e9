package scoreboard

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var write = flag.String("write", "", "directory to write the whole scoreboard to")

func TestScoreboard_IsWrittenOnRequest(t *testing.T) {
	if *write == "" {
		t.Skip("it takes minutes: make scoreboard")
	}
	if *policyNames != "" {
		all := policies
		defer func() { policies = all }()
		policies = chosen(t)
	}
	rs := allMeasured(t, jobs())
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
	save("frontier.svg", plotFrontier(frontier(t)))
}

// frontier measures every point of the frontier.
func frontier(t *testing.T) map[string]point {
	points := map[string]point{}
	for _, f := range families() {
		for _, p := range f.breakers {
			points[f.name+"/"+p.name] = measureFrontier(p, func(j job, seed int) *trace { return inBubble(t, j, seed) })
		}
	}
	return points
}

func TestFrontier_NoOptionReachesBothAtTenCallsASecond(t *testing.T) {
	for name, pt := range frontier(t) {
		t.Log(name, pt)
		require.False(t, pt.goodput >= 0.9 && pt.allowed[0] <= 1.5 && pt.allowed[1] <= 1.5,
			"%s reaches what the scoreboard says is out of reach", name)
	}
}
