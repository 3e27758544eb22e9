// Package links holds tests of what the packages of this module link.
package links

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/kratos-breaker/breaker"

// forV2 are the packages that are for Kratos v2.
var forV2 = []string{
	module + "/middleware/circuitbreaker", module + "/selector", module + "/tracing", module + "/config/kratos",
	module + "/cmd/breakerlint", module + "/internal/breakertest",
}

func TestLinks_OnlyWhatIsForKratosV2LinksIt(t *testing.T) {
	for _, pkg := range lines(t, "list", module+"/...") {
		if slices.Contains(forV2, pkg) || strings.HasPrefix(pkg, module+"/examples/") {
			continue
		}
		for _, dep := range lines(t, "list", "-deps", pkg) {
			require.False(t, strings.HasPrefix(dep, "github.com/go-kratos/kratos/"), "%s links %s", pkg, dep)
		}
	}
}

// Kratos v3 registers a file of protobuf that v2 registers, too, and two of them end
// a program before it starts.
func TestLinks_AProgramWithKratosV3Starts(t *testing.T) {
	text, err := exec.Command("go", "run", "./testdata/program").CombinedOutput()
	require.NoError(t, err, "%s", text)
	require.Equal(t, "started with closed\n", string(text))
	text, err = exec.Command("go", "run", "-tags", "v2", "./testdata/program").CombinedOutput()
	require.Error(t, err, "with v2 it does not")
	require.Contains(t, string(text), `"errors/errors.proto" is already registered`)
}

func lines(t *testing.T, args ...string) []string {
	t.Helper()
	text, err := exec.Command("go", args...).Output()
	require.NoError(t, err)
	return strings.Fields(string(text))
}
