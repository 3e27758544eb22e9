package config_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	klog "github.com/go-kratos/kratos/v2/log"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
)

func TestMain(m *testing.M) {
	klog.SetLogger(klog.NewFilter(klog.DefaultLogger, klog.FilterLevel(klog.LevelFatal))) // Kratos' own complaints about bad files
	flag.Parse()
	code := m.Run()
	for end := time.Now().Add(patience); code == 0; time.Sleep(10 * time.Millisecond) {
		err := goleak.Find() // after an error, a watcher of Kratos sleeps for a second before it ends
		if err == nil {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// patience is how long a test waits for what happens in its own time.
const patience = 10 * time.Second

// parsed returns the set of valid rules in YAML.
func parsed(t testing.TB, text string) *config.Set {
	t.Helper()
	set, err := config.Parse([]byte(text), config.YAML)
	require.NoError(t, err, text)
	return set
}

// faultsOf returns the lines of the faults in an error.
func faultsOf(t testing.TB, err error) []string {
	t.Helper()
	var invalid *config.InvalidError
	require.ErrorAs(t, err, &invalid)
	var lines []string
	for _, f := range invalid.Fields {
		lines = append(lines, f.Error())
	}
	require.Equal(t, strings.Join(lines, "\n"), invalid.Error())
	return lines
}

// fail lets n calls fail, and returns how many were rejected instead.
func fail(a breaker.Acquirer, n int) (rejected int) { return end(a, breaker.Failure, n) }

// succeed lets n calls succeed, and returns how many were rejected instead.
func succeed(a breaker.Acquirer, n int) (rejected int) { return end(a, breaker.Success, n) }

func end(a breaker.Acquirer, o breaker.Outcome, n int) (rejected int) {
	for range n {
		p, err := a.Acquire()
		if err != nil {
			rejected++
			continue
		}
		p.Done(o)
	}
	return rejected
}

func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// replace replaces a file as most editors do.
func replace(t testing.TB, path, text string) {
	t.Helper()
	temporary := filepath.Join(t.TempDir(), "new")
	write(t, temporary, text)
	require.NoError(t, os.Rename(temporary, path))
}

// read returns the text of a file.
func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

var errBackend = errors.New("the backend failed")
