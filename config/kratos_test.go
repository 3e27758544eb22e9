package config_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	kratos "github.com/go-kratos/kratos/v2/config"
	"github.com/go-kratos/kratos/v2/config/env"
	"github.com/go-kratos/kratos/v2/config/file"
	"github.com/stretchr/testify/require"

	conf "github.com/kratos-breaker/breaker/api/breaker/conf/v1"
	"github.com/kratos-breaker/breaker/config"
	configkratos "github.com/kratos-breaker/breaker/config/kratos"
)

// application is a loaded configuration of Kratos, and the rules of its section
// circuitbreaker, which are being followed.
type application struct {
	kratos.Config
	*config.Rules

	mu      sync.Mutex
	reports []config.Report
}

func loaded(t *testing.T, sources ...kratos.Source) kratos.Config {
	t.Helper()
	c := kratos.New(kratos.WithSource(sources...))
	require.NoError(t, c.Load())
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func start(t *testing.T, sources ...kratos.Source) *application {
	t.Helper()
	a := &application{Config: loaded(t, sources...)}
	var err error
	a.Rules, err = config.Load(configkratos.Source(a.Config).Section("circuitbreaker"), config.WithInterval(10*time.Millisecond),
		config.WithReport(func(r config.Report) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.reports = append(a.reports, r)
		}))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { a.Follow(ctx) })
	t.Cleanup(func() {
		cancel()
		following.Wait()
	})
	return a
}

func (a *application) settings() string { return a.Set().Match("", "x").Settings }

// becomes waits for the settings of the default.
func (a *application) becomes(t *testing.T, settings string) {
	t.Helper()
	require.Eventually(t, func() bool { return a.settings() == settings }, patience, time.Millisecond)
}

// told waits for the n-th report.
func (a *application) told(t *testing.T, n int) config.Report {
	t.Helper()
	require.Eventually(t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.reports) >= n
	}, patience, time.Millisecond)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reports[n-1]
}

// merged waits until Kratos has taken a file in, by a key that is in it.
func (a *application) merged(t *testing.T, mark string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var all map[string]any
		return a.Scan(&all) == nil && all["mark"] == mark
	}, patience, time.Millisecond)
}

func section(text string) string { return "circuitbreaker: {" + text + "}\n" }

func TestKratos_FollowsAFileThatIsWrittenTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, section("default: {sre: {success: 0.5}}"))
	a := start(t, file.NewSource(path))
	require.Equal(t, `{"sre":{"success":0.5}}`, a.settings())
	write(t, path, section("default: {sre: {success: 0.3}}"))
	a.becomes(t, `{"sre":{"success":0.3}}`)

	write(t, path, section("default: {sre: {success: 3}}"))
	require.ErrorContains(t, a.told(t, 2).Err, "default.sre.success: 3, want a number in [0.000001, 1]")
	require.Equal(t, `{"sre":{"success":0.3}}`, a.settings())
	write(t, path, section("default: {sre: {success: 0.4}}"))
	a.becomes(t, `{"sre":{"success":0.4}}`)
}

func TestKratos_FollowsAFileInADirectoryThatIsReplacedByRenaming(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	write(t, path, section("default: {sre: {success: 0.5}}"))
	write(t, filepath.Join(dir, "other.yaml"), "server: {addr: x}")
	a := start(t, file.NewSource(dir))
	for _, success := range []string{"0.3", "0.4", "0.2"} {
		replace(t, path, section("default: {sre: {success: "+success+"}}"))
		a.becomes(t, `{"sre":{"success":`+success+`}}`)
	}
}

// What docs/config.md says of Kubernetes, and why File is there.
func TestKratos_DoesNotSeeAConfigMapThatIsReplacedButAFileDoes(t *testing.T) {
	t.Parallel() // Kratos sleeps for a second after each event that it cannot read
	dir := t.TempDir()
	swap := func(version, success string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "config.yaml"), section("default: {sre: {success: "+success+"}}"))
		require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	swap("..1", "0.5")
	require.NoError(t, os.Symlink(filepath.Join("..data", "config.yaml"), filepath.Join(dir, "config.yaml")))
	a := start(t, file.NewSource(dir))
	swap("..2", "0.3")
	write(t, filepath.Join(dir, "z.yaml"), "mark: a") // the events come in their order
	a.merged(t, "a")
	require.Equal(t, `{"sre":{"success":0.5}}`, a.settings())

	set, err := config.File(filepath.Join(dir, "config.yaml")).Section("circuitbreaker").Read()
	require.NoError(t, err)
	require.Equal(t, `{"sre":{"success":0.3}}`, set.Match("", "x").Settings)
}

func TestKratos_TakesPlaceholdersAndVariablesOfTheEnvironment(t *testing.T) {
	t.Setenv("BREAKER_TEST_SUCCESS", "0.25")
	t.Setenv("BREAKER_TEST_circuitbreaker.default.sre.bucket", "20")
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, section(`default: {sre: {success: "${SUCCESS:0.5}", request: "${REQUEST:30}", window: "${WINDOW:5s}", bucket: 10, classic: "${CLASSIC:false}"}}`))
	a := start(t, file.NewSource(path), env.NewSource("BREAKER_TEST_"))
	require.JSONEq(t, `{"sre":{"success":0.25,"request":30,"window":"5s","bucket":20,"classic":false}}`, a.settings())

	actual := kratos.New(kratos.WithSource(file.NewSource(path)), kratos.WithResolveActualTypes(true))
	require.NoError(t, actual.Load())
	defer func() { require.NoError(t, actual.Close()) }()
	set, err := configkratos.Source(actual).Section("circuitbreaker").Read()
	require.NoError(t, err)
	require.JSONEq(t, `{"sre":{"success":0.5,"request":30,"window":"5s","bucket":10,"classic":false}}`, set.Match("", "x").Settings)
}

func TestKratos_AKeyThatIsRemovedKeepsItsValueSoRulesAreRemovedByAnEmptyList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, section("default: {sre: {success: 0.5}}, rules: [{match: x, algorithm: off}]"))
	a := start(t, file.NewSource(path))
	require.Equal(t, "rules[0] x (off)", a.Set().Match("", "x").Rule)
	write(t, path, "mark: a\n"+section("default: {sre: {request: 30}}"))
	a.becomes(t, `{"algorithm":"off","sre":{"success":0.5,"request":30}}`)
	write(t, path, "mark: b\n")
	a.merged(t, "b")
	write(t, path, section("rules: []"))
	a.becomes(t, `{"sre":{"success":0.5,"request":30}}`)
	require.Equal(t, config.Reloads{Applied: 2}, a.Reloads(), "the removal of the whole section is none")
}

func TestKratos_ANullOrAnotherTypeInTheSectionLeavesTheRulesAndEndsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, section("default: {sre: {success: 0.5}, mode: dry-run}"))
	a := start(t, file.NewSource(path))
	write(t, path, section("default: {mode: null}"))
	a.becomes(t, `{"sre":{"success":0.5}}`)
	for i, bad := range []string{"circuitbreaker: null\n", "circuitbreaker: off\n", "circuitbreaker: [1]\n"} {
		write(t, path, bad)
		require.ErrorContains(t, a.told(t, i+2).Err, "section circuitbreaker")
		require.Equal(t, `{"sre":{"success":0.5}}`, a.settings())
	}
	write(t, path, section("default: {sre: {success: 0.3}}"))
	a.becomes(t, `{"sre":{"success":0.3}}`)
}

func TestKratos_ASectionThatIsNotThereIsAnErrorAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	for text, want := range map[string]string{
		"server: {}\n":           `there is no section "circuitbreaker"`,
		"circuitbreaker: null\n": "there are no rules; want at least {}",
		"circuitbreaker: 3\n":    "want an object",
	} {
		write(t, path, text)
		_, err := config.Load(configkratos.Source(loaded(t, file.NewSource(path))).Section("circuitbreaker"))
		require.ErrorContains(t, err, want)
	}
	write(t, path, "circuitbreaker: {}\n")
	_, err := config.Load(configkratos.Source(loaded(t, file.NewSource(path))).Section("circuitbreaker"))
	require.NoError(t, err)
}

func TestKratos_LeavesTheObserverOfTheSectionToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, section("default: {sre: {success: 0.5}}"))
	a := start(t, file.NewSource(path))
	observed := make(chan struct{}, 100)
	require.NoError(t, a.Watch("circuitbreaker", func(string, kratos.Value) { observed <- struct{}{} }))
	write(t, path, section("default: {sre: {success: 0.3}}"))
	a.becomes(t, `{"sre":{"success":0.3}}`)
	select {
	case <-observed:
	case <-time.After(patience):
		t.Fatal("the observer was not called")
	}
}

func TestKratos_TellsAConfigurationThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, section("default: {sre: {success: .nan}}"))
	_, err := config.Load(configkratos.Source(loaded(t, file.NewSource(path))))
	require.ErrorContains(t, err, "NaN")
}

func TestKratos_ScansTheSameFileIntoTheMessage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, read(t, filepath.Join("testdata", "full.yaml")))
	m := &conf.Rules{}
	require.NoError(t, loaded(t, file.NewSource(path)).Value("circuitbreaker").Scan(m))
	fromMessage, err := config.FromProto(m)
	require.NoError(t, err)
	fromFile, err := config.File(path).Section("circuitbreaker").Read()
	require.NoError(t, err)
	for _, call := range [][2]string{{"grpc", "/pay.v1.Pay/Refund"}, {"http", "/v1/users/{id}"}, {"http", "/healthz"}, {"http", "/other"}} {
		require.Equal(t, fromFile.Match(call[0], call[1]), fromMessage.Match(call[0], call[1]))
	}
	// The one thing that a message cannot say: a list that is there and empty.
	require.NotContains(t, fromFile.Match("http", "/pay.v1.Pay/Charge").Settings, "failure_rate")
	require.Contains(t, fromMessage.Match("http", "/pay.v1.Pay/Charge").Settings, "failure_rate")
}
