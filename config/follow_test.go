package config_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/config"
)

const (
	half  = "default: {sre: {success: 0.5}}\n"
	third = "default: {sre: {success: 0.3}}\n"
)

// followed is the rules of a file that are being followed in a bubble of
// synctest.
type followed struct {
	*config.Rules
	path    string
	reports []config.Report
}

func follow(t *testing.T, name, text string) *followed {
	t.Helper()
	f := &followed{path: filepath.Join(t.TempDir(), name)}
	write(t, f.path, text)
	return f.load(t)
}

func (f *followed) load(t *testing.T) *followed {
	t.Helper()
	var err error
	f.Rules, err = config.Load(config.File(f.path), config.WithReport(func(r config.Report) { f.reports = append(f.reports, r) }))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { f.Follow(ctx) })
	t.Cleanup(func() {
		cancel()
		following.Wait()
	})
	synctest.Wait()
	return f
}

// look lets the follower look n times.
func (f *followed) look(n int) {
	time.Sleep(time.Duration(n) * time.Second)
	synctest.Wait()
}

func (f *followed) settings() string { return f.Set().Match("", "x").Settings }

func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

func TestFollow_AppliesAChangeThatTwoLooksHaveSeen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := follow(t, "rules.yaml", half)
		f.look(3)
		require.Empty(t, f.reports)
		write(t, f.path, third)
		f.look(1)
		require.Equal(t, `{"sre":{"success":0.5}}`, f.settings())
		f.look(1)
		require.Equal(t, `{"sre":{"success":0.3}}`, f.settings())
		f.look(5)
		require.Equal(t, []config.Report{{}}, f.reports)
		require.Equal(t, config.Reloads{Applied: 1}, f.Reloads())
	})
}

func TestFollow_WaitsForOneWhoIsStillWriting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := follow(t, "rules.yaml", half)
		text := "rules:\n"
		for i := range 10 { // each beginning of it would be valid
			text += fmt.Sprintf("- {match: /%d, algorithm: off}\n", i)
			write(t, f.path, text)
			f.look(1)
			require.Equal(t, config.Reloads{}, f.Reloads())
		}
		f.look(1)
		require.Equal(t, config.Reloads{Applied: 1}, f.Reloads())
	})
}

func TestFollow_TellsAnInvalidChangeOnceAndKeepsTheRules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := follow(t, "rules.yaml", half)
		for i, bad := range []string{"default: {sre: {success: 2}}", "default: [", ""} {
			write(t, f.path, bad)
			f.look(10)
			require.Len(t, f.reports, i+1, bad)
			require.ErrorContains(t, f.reports[i].Err, f.path)
			require.Equal(t, `{"sre":{"success":0.5}}`, f.settings())
		}
		for _, same := range []string{"# nothing", "null"} {
			write(t, f.path, same)
			f.look(10)
			require.Equal(t, config.Reloads{Rejected: 3}, f.Reloads(), "it says the same as before")
		}
		write(t, f.path, half)
		f.look(2)
		require.Equal(t, config.Reloads{Rejected: 3, Unchanged: 1}, f.Reloads())
		write(t, f.path, "default: {sre: {success: 2}}")
		f.look(2)
		var invalid *config.InvalidError
		require.ErrorAs(t, f.reports[len(f.reports)-1].Err, &invalid)
		require.Equal(t, "default.sre.success", invalid.Fields[0].Path)
	})
}

func TestFollow_AFileThatIsGoneIsToldOnceAndMayComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := follow(t, "rules.yaml", half)
		require.NoError(t, os.Remove(f.path))
		f.look(10)
		require.Len(t, f.reports, 1)
		require.ErrorIs(t, f.reports[0].Err, os.ErrNotExist)
		require.Equal(t, `{"sre":{"success":0.5}}`, f.settings())
		write(t, f.path, third)
		f.look(2)
		require.Equal(t, `{"sre":{"success":0.3}}`, f.settings())
	})
}

func TestFollow_SeesAFileThatIsReplacedByRenaming(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := follow(t, "rules.json", `{}`)
		for i := 1; i < 5; i++ {
			replace(t, f.path, fmt.Sprintf(`{"default":{"sre":{"success":0.%d}}}`, i))
			f.look(2)
			require.Equal(t, fmt.Sprintf(`{"sre":{"success":0.%d}}`, i), f.settings())
		}
	})
}

func TestFollow_SeesAConfigMapOfKubernetesThatIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// The file is a link through a link, and a new directory takes over.
		dir := t.TempDir()
		swap := func(version, text string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
			write(t, filepath.Join(dir, version, "rules.yaml"), text)
			require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
			require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		}
		swap("..1", half)
		require.NoError(t, os.Symlink(filepath.Join("..data", "rules.yaml"), filepath.Join(dir, "rules.yaml")))
		f := (&followed{path: filepath.Join(dir, "rules.yaml")}).load(t)
		for i, text := range []string{third, half, third} {
			swap(fmt.Sprintf("..%d", i+2), text)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..%d", i+1))))
			f.look(2)
			require.Contains(t, text, strings.TrimSuffix(strings.TrimPrefix(f.settings(), `{"sre":{"success":`), "}}"))
		}
		require.Equal(t, config.Reloads{Applied: 3}, f.Reloads())
	})
}

func TestFollow_TakesASectionOfALargerFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, "server: {1: one}\ndata:\n  breaker:\n    "+half)
		r, err := config.Load(config.File(path).Section("data").Section("breaker"), config.WithInterval(10*time.Millisecond))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(25 * time.Millisecond)
			write(t, path, "server: {2: two}\ndata: {breaker: null}")
			time.Sleep(25 * time.Millisecond)
			write(t, path, "server: {2: two}\ndata: 7")
			time.Sleep(25 * time.Millisecond)
			cancel()
		}()
		r.Follow(ctx)
		require.Equal(t, config.Reloads{Rejected: 2}, r.Reloads())
		require.Equal(t, `{"sre":{"success":0.5}}`, r.Set().Match("", "x").Settings)
	})
}

func TestFollow_NeedsASourceAndIsForOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := follow(t, "rules.yml", half)
		require.PanicsWithValue(t, "config: Follow: somebody follows the source already", func() { f.Follow(t.Context()) })
		require.PanicsWithValue(t, "config: Follow: the rules have no source: they come from New", func() {
			config.New(parsed(t, "{}")).Follow(t.Context())
		})
		require.PanicsWithValue(t, "config: Follow: the context is nil", func() {
			f.Follow(nil) //nolint:staticcheck // the point of it
		})
	})
}

func TestFollow_EndsWithItsContextAndCanBeginAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "rules.yaml")
		write(t, path, half)
		r, err := config.Load(config.File(path))
		require.NoError(t, err)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			r.Follow(ctx)
			cancel()
		}
	})
}

func TestLoad_SaysWhatIsWrongWithTheSource(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad.yaml"), "default: {sre: {success: 2, window: 1}}")
	write(t, filepath.Join(dir, "rules.toml"), "")
	write(t, filepath.Join(dir, "large.json"), strings.Repeat(" ", 2<<20))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir.yaml"), 0o700))
	for _, c := range []struct {
		source config.Source
		want   string
	}{
		{config.Source{}, "the source is the zero value"},
		{config.File(filepath.Join(dir, "none.yaml")), "no such file"},
		{config.File(filepath.Join(dir, "dir.yaml")), "is a directory"},
		{config.File(filepath.Join(dir, "rules.toml")), "want a name that ends in .yaml, .yml or .json"},
		{config.File(filepath.Join(dir, "large.json")), "want at most 1048576"},
		{config.File(filepath.Join(dir, "bad.yaml")), "bad.yaml is not valid:\ndefault.sre.success: 2, want a number in [0.000001, 1]\ndefault.sre.window: 1, want a duration"},
		{config.File(filepath.Join(dir, "bad.yaml")).Section("default.circuit"), `there is no section "default.circuit", in `},
		{config.Text("the centre", func() ([]byte, config.Format, error) { return nil, "", errBackend }), "the backend failed, in the centre"},
	} {
		_, err := config.Load(c.source)
		require.ErrorContains(t, err, c.want)
		_, err = c.source.Read()
		require.ErrorContains(t, err, c.want)
	}
	_, err := config.Load(config.Text("the centre", func() ([]byte, config.Format, error) { return nil, "", errBackend }))
	require.True(t, errors.Is(err, errBackend))
}
