package docs_test

// The README makes claims. This file reads them from there and checks each:
// every sample is code of this file or of an example, every number and every
// row of a table is compared with what the code does.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/transport"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// The samples, in functions that the tests below call.

func readmeTuned() middleware.Middleware {
	tuned := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker {
		return sre.NewBreaker(sre.WithSuccess(0.5), sre.WithRequest(50))
	}))
	return tuned
}

func readmeShared() (middleware.Middleware, *group.Group[*sre.Breaker]) {
	breakers := group.NewKeyed(func(operation string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(operation))
	})
	shared := circuitbreaker.Client(circuitbreaker.WithGroup(breakers))
	for operation, b := range breakers.All() {
		fmt.Println(operation, b.Snapshot().State, b.Snapshot().RejectRatio)
	}
	return shared, breakers
}

func readmeStrict() middleware.Middleware {
	strict := circuitbreaker.Client(circuitbreaker.WithClassifier(cberrors.NewClassifier(
		cberrors.WithOverload(), // 429 and ResourceExhausted are failures
		cberrors.WithHTTPStatus(breaker.Failure, 404),
		cberrors.WithGRPCCode(breaker.Failure, codes.NotFound),
		cberrors.WithReason(breaker.Ignored, "USER_BANNED"),
	)))
	return strict
}

func readmeRejection(err error) *breaker.RejectedError {
	var rejection *breaker.RejectedError
	if errors.As(err, &rejection) {
		fmt.Println(rejection.Name(), rejection.State(), rejection.Reason())
	}
	return rejection
}

func readmePolite() middleware.Middleware {
	polite := circuitbreaker.Client(circuitbreaker.WithFallback(
		func(_ context.Context, _ any, rejected error) (any, error) {
			return nil, fmt.Errorf("please try again later: %w", rejected)
		}))
	return polite
}

func readmePerBackend() middleware.Middleware {
	perBackend := circuitbreaker.Client(circuitbreaker.WithKey(func(ctx context.Context, _ any) string {
		if tr, ok := transport.FromClientContext(ctx); ok {
			return tr.Endpoint()
		}
		return ""
	}))
	return perBackend
}

func readmeThreeState() middleware.Middleware {
	threeState := circuitbreaker.Client(circuitbreaker.WithGroup(group.NewKeyed(func(operation string) *circuit.Breaker {
		return circuit.NewBreaker(
			circuit.WithName(operation),
			circuit.WithConsecutiveFailures(5),
			circuit.WithFailureRate(0.5, 20, 10*time.Second),
			circuit.WithSlowCallRate(time.Second, 0.8, 20, 10*time.Second), // and those that hang
			circuit.WithDelay(2*time.Second),
			circuit.WithBackoff(2, time.Minute),
			circuit.WithListener(func(e breaker.Event) { fmt.Println(operation, e.From, e.To, e.Cause) }),
		)
	})))
	return threeState
}

func readmeOverrule(b breaker.Controller) {
	b.SetMode(breaker.DryRun)                         // rejects nothing, counts what it would have rejected
	b.SetModeFor(breaker.ForceOpen, 10*time.Minute)   // then auto again
	b.SetModeFor(breaker.ForceClosed, 10*time.Minute) // lets everything through
	b.SetMode(breaker.Auto)
	b.Reset() // closed, and all forgotten but the totals
}

func readmeDo(ctx context.Context, lookUp func(context.Context, string) (string, error)) (string, error) {
	b := sre.NewBreaker(sre.WithName("geocoder"))
	place, err := breaker.Do(ctx, b, func(ctx context.Context) (string, error) {
		return lookUp(ctx, "Lisbon")
	}, breaker.WithClassifier(cberrors.Classify))
	return place, err
}

func TestReadme_TheFirstSampleEndsBeforeLine25AndIsTheHeartOfTheQuickstart(t *testing.T) {
	first := readmeBlocks(t, "go")[0]
	require.Less(t, first.end, 25)
	requireCode(t, first, "examples/quickstart/main.go")
}

func TestReadme_EverySampleIsCodeThatIsCompiled(t *testing.T) {
	for _, sample := range readmeBlocks(t, "go")[1:] {
		requireCode(t, sample, "internal/docs/readme_test.go", "internal/docs/readme_layers_test.go")
	}
}

func TestReadme_EverySampleDoesWhatItShows(t *testing.T) {
	boom := func() error { return kratoserrors.New(503, "BOOM", "") }
	// reject calls m until it rejects.
	reject := func(m middleware.Middleware, ctx context.Context) error {
		h := m(func(context.Context, any) (any, error) { return nil, boom() })
		for range 10_000 {
			if _, err := h(ctx, nil); errors.Is(err, circuitbreaker.ErrNotAllowed) {
				return err
			}
		}
		t.Fatal("no call was rejected")
		return nil
	}

	t.Run("tuned", func(t *testing.T) {
		// One of the options is for each of these; the defaults bear neither.
		for _, bears := range []struct {
			every   time.Duration
			success float64
		}{
			{10 * time.Millisecond, 0.55},
			{100 * time.Millisecond, 0.4}, // 30 calls in a window
		} {
			rejected := func(m middleware.Middleware) (n int) {
				r := rand.New(rand.NewPCG(2, 0))
				h := m(func(context.Context, any) (any, error) {
					if r.Float64() < bears.success {
						return nil, nil
					}
					return nil, boom()
				})
				synctest.Test(t, func(*testing.T) {
					for range int(2 * time.Minute / bears.every) {
						if _, err := h(clientContext("/tuned"), nil); errors.Is(err, circuitbreaker.ErrNotAllowed) {
							n++
						}
						time.Sleep(bears.every)
					}
				})
				return n
			}
			require.Zero(t, rejected(readmeTuned()))
			require.NotZero(t, rejected(circuitbreaker.Client()))
		}
	})
	t.Run("shared", func(t *testing.T) {
		m, breakers := readmeShared()
		rejection := readmeRejection(reject(m, clientContext("/shared")))
		require.Equal(t, "/shared", rejection.Name())
		require.Equal(t, breaker.ReasonThrottled, rejection.Reason())
		require.Equal(t, breaker.Open, breakers.Get("/shared").Snapshot().State)
	})
	t.Run("strict", func(t *testing.T) {
		classify := cberrors.NewClassifier(cberrors.WithReason(breaker.Ignored, "USER_BANNED"))
		require.Equal(t, breaker.Ignored, classify(kratoserrors.New(500, "USER_BANNED", "")))
		for _, err := range []error{
			kratoserrors.New(429, "", ""), kratoserrors.New(404, "", ""),
			status.Error(codes.ResourceExhausted, ""), status.Error(codes.NotFound, ""),
		} {
			reached := 0
			h := readmeStrict()(func(context.Context, any) (any, error) { reached++; return nil, err })
			for range 300 {
				_, _ = h(clientContext("/strict"), nil)
			}
			require.Less(t, reached, 250, "%v", err)
		}
	})
	t.Run("polite", func(t *testing.T) {
		err := reject(readmePolite(), clientContext("/polite"))
		require.ErrorContains(t, err, "please try again later")
		require.NotNil(t, readmeRejection(err))
	})
	t.Run("per backend", func(t *testing.T) {
		m := readmePerBackend()
		one, two := clientContext("/one"), clientContext("/two")
		_ = reject(m, one)
		require.Equal(t, "127.0.0.1:8000", readmeRejection(reject(m, two)).Name())
	})
	t.Run("three states", func(t *testing.T) {
		rejection := readmeRejection(reject(readmeThreeState(), clientContext("/three")))
		require.Equal(t, breaker.ReasonOpen, rejection.Reason())
		require.InDelta(t, 2*time.Second, rejection.RetryAfter(), float64(time.Second))
	})
	t.Run("overrule", func(t *testing.T) {
		for _, b := range []breaker.Controller{sre.NewBreaker(), circuit.NewBreaker()} {
			for range 300 {
				if p, err := b.Acquire(); err == nil {
					p.Done(breaker.Failure)
				}
			}
			before := b.Snapshot()
			require.Equal(t, breaker.Open, before.State)
			readmeOverrule(b)
			after := b.Snapshot()
			require.Equal(t, breaker.Closed, after.State)
			require.Equal(t, breaker.Auto, after.Mode)
			require.Equal(t, before.Totals, after.Totals)
		}
	})
	t.Run("do", func(t *testing.T) {
		place, err := readmeDo(t.Context(), func(_ context.Context, name string) (string, error) { return name, nil })
		require.NoError(t, err)
		require.Equal(t, "Lisbon", place)
	})
	t.Run("rejection", func(t *testing.T) {
		err := reject(circuitbreaker.Client(), clientContext("/rejection"))
		require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
		require.ErrorIs(t, err, aegis.ErrNotAllowed)
		require.Equal(t, 503, kratoserrors.Code(err))
		require.Equal(t, "CIRCUITBREAKER", kratoserrors.Reason(err))
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.True(t, cberrors.IsRejected(err))
	})
}

func TestReadme_TheMigrationChangesOneImportPathAndNothingElse(t *testing.T) {
	diff := readmeBlocks(t, "diff")
	require.Len(t, diff, 1)
	require.Equal(t, []string{
		fmt.Sprintf("-import %q", reflect.TypeFor[kratoscb.Option]().PkgPath()),
		fmt.Sprintf("+import %q", reflect.TypeFor[circuitbreaker.Option]().PkgPath()),
	}, diff[0].lines)

	// What Kratos exports, but for WithGroup, compiles with both.
	newBreaker := func() aegis.CircuitBreaker { return sre.NewBreaker() }
	_, _ = kratoscb.Client(kratoscb.WithCircuitBreaker(newBreaker)), kratoscb.ErrNotAllowed
	_, _ = circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(newBreaker)), circuitbreaker.ErrNotAllowed
	_ = circuitbreaker.Client(circuitbreaker.WithGroup(group.NewGroup(newBreaker)))
}

func TestReadme_EveryCommandNamesWhatIsThere(t *testing.T) {
	var commands []string
	for _, block := range readmeBlocks(t, "sh") {
		commands = append(commands, block.lines...)
	}
	require.Contains(t, commands, "go run ./examples/outage")
	require.Contains(t, commands, "go test ./...")
	for _, command := range commands {
		words := strings.Fields(command)
		require.Equal(t, "go", words[0], command)
		require.Contains(t, []string{"run", "test"}, words[1], command)
		for _, word := range words[2:] {
			if dir, ok := strings.CutPrefix(word, "./"); ok {
				require.DirExists(t, filepath.Join(".", strings.TrimSuffix(dir, "...")), command)
			}
		}
	}
}

func TestReadme_EveryNameItMentionsIsExported(t *testing.T) {
	dirs := map[string]string{
		"breaker": ".", "sre": "sre", "group": "group", "errors": "errors", "cberrors": "errors",
		"circuitbreaker": "middleware/circuitbreaker",
	}
	exported := map[string][]string{}
	for _, dir := range dirs {
		exported[dir] = exportedNames(t, dir)
	}
	exported["errors"] = append(exported["errors"], "Is", "As") // of the standard library
	mentions := regexp.MustCompile(`\b(\w+)\.([A-Z]\w*)`).FindAllStringSubmatch(readmeText(t), -1)
	require.NotEmpty(t, mentions)
	for _, m := range mentions {
		if dir, ok := dirs[m[1]]; ok {
			require.Contains(t, exported[dir], m[2], m[0])
		}
	}
}

func TestReadme_EveryLinkIntoTheRepositoryLeadsSomewhere(t *testing.T) {
	text := readmeText(t)
	headings := regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1)
	var anchors []string
	for _, h := range headings {
		h := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(h[1]), "")
		anchors = append(anchors, "#"+strings.ReplaceAll(h, " ", "-"))
	}
	for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		switch to := link[1]; {
		case strings.HasPrefix(to, "#"):
			require.Contains(t, anchors, to)
		case !strings.Contains(to, "://"):
			require.FileExists(t, to)
		}
	}
}

func TestReadme_ThePackageTableListsEveryPublicPackage(t *testing.T) {
	var want []string
	require.NoError(t, filepath.WalkDir(".", func(dir string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		if name := e.Name(); dir != "." && (name == "internal" || name == "testdata" || name == "examples" || name[0] == '.' || name[0] == '_') {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && dir != "." {
			return fs.SkipDir
		}
		if len(exportedNames(t, dir)) > 0 {
			want = append(want, filepath.ToSlash(dir))
		}
		return nil
	}))
	var got []string
	for _, row := range readmeTable(t, "path") {
		got = append(got, strings.Trim(row[0], "`"))
	}
	require.ElementsMatch(t, want, got)
}

func TestReadme_TheVersionsAreThoseOfTheModule(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^go 1\.25\.0$`, string(mod))
	require.Regexp(t, `(?m)^\s*github.com/go-kratos/kratos/v2 v2\.9\.2$`, string(mod))
	text := readmeText(t)
	requireReadmeSays(t, "Go 1.25 or newer, Kratos v2.9.2")
	for _, version := range regexp.MustCompile(`Kratos v\d+\.[\d.]*\d`).FindAllString(text, -1) {
		require.Equal(t, "Kratos v2.9.2", version)
	}
}

func TestReadme_TheOptionTableIsWhatTheCodeDoes(t *testing.T) {
	rows := map[string][]string{}
	for _, row := range readmeTable(t, "option") {
		rows[strings.Trim(row[0], "`")] = row
	}
	defaults := func(option string) string { return rows[option][3] }
	bounds := func(option string) (low, high string) {
		low, high, ok := strings.Cut(rows[option][2], " to ")
		require.True(t, ok, option)
		return low, high
	}
	require.Len(t, rows, optionsOf("sre", "group"))

	t.Run("success", func(t *testing.T) {
		low, high := bounds("sre.WithSuccess")
		try := func(ratio float64) func() { return func() { sre.NewBreaker(sre.WithSuccess(ratio)) } }
		require.NotPanics(t, try(number(t, low)))
		require.NotPanics(t, try(number(t, high)))
		require.Panics(t, try(math.Nextafter(number(t, low), 0)))
		require.Panics(t, try(math.Nextafter(number(t, high), 2)))
		require.Panics(t, try(math.NaN()))

		require.InDelta(t, number(t, defaults("sre.WithSuccess")), 0.6, 0)
		for success, bears := range map[float64]bool{0.64: true, 0.56: false} {
			synctest.Test(t, func(t *testing.T) {
				calls := offer(ours(1), 1000, 1, 30*time.Second, chance(success))
				n, allowed, _ := between(calls, 0, 30*time.Second)
				require.Equal(t, bears, n == allowed, "%v succeed, %d of %d allowed", success, allowed, n)
			})
		}
	})
	t.Run("request", func(t *testing.T) {
		low, high := bounds("sre.WithRequest")
		try := func(calls float64) func() { return func() { sre.NewBreaker(sre.WithRequest(int64(calls))) } }
		require.NotPanics(t, try(number(t, low)))
		require.NotPanics(t, try(number(t, high)))
		require.Panics(t, try(number(t, low)-1))
		require.Panics(t, try(number(t, high)+1))

		byDefault, byClassic, ok := strings.Cut(defaults("sre.WithRequest"), ", or ")
		require.True(t, ok)
		byClassic, ok = strings.CutSuffix(byClassic, " with `sre.Classic`")
		require.True(t, ok)
		for least, opts := range map[float64][]sre.Option{number(t, byDefault): nil, number(t, byClassic): {sre.Classic()}} {
			for calls, bears := range map[float64]bool{least - 2: true, least + 4: false} {
				synctest.Test(t, func(t *testing.T) {
					require.Equal(t, bears, rejectedOf(ours(1, opts...), calls) == 0, "%v in a window, %v needed", calls, least)
				})
			}
		}
	})
	t.Run("window", func(t *testing.T) {
		low, high := bounds("sre.WithWindow")
		try := func(d time.Duration) func() {
			return func() { sre.NewBreaker(sre.WithWindow(d), sre.WithBucket(1)) }
		}
		require.NotPanics(t, try(duration(t, low)))
		require.NotPanics(t, try(duration(t, high)))
		require.Panics(t, try(duration(t, low)-1))
		require.Panics(t, try(duration(t, high)+1))

		require.Equal(t, duration(t, defaults("sre.WithWindow")), sre.NewBreaker().Snapshot().Window.Length)
	})
	t.Run("bucket", func(t *testing.T) {
		low, high := bounds("sre.WithBucket")
		try := func(n float64) func() { return func() { sre.NewBreaker(sre.WithBucket(int(n))) } }
		require.NotPanics(t, try(number(t, low)))
		require.NotPanics(t, try(number(t, high)))
		require.Panics(t, try(number(t, low)-1))
		require.Panics(t, try(number(t, high)+1))

		require.Contains(t, rows["sre.WithBucket"][1], "each at least 1µs long")
		require.NotPanics(t, func() { sre.NewBreaker(sre.WithBucket(20), sre.WithWindow(20*time.Microsecond)) })
		require.Panics(t, func() { sre.NewBreaker(sre.WithBucket(20), sre.WithWindow(20*time.Microsecond-1)) })

		// What happens in the first bucket is forgotten after a window; what
		// happens in the second one, a bucket later.
		window := duration(t, defaults("sre.WithWindow"))
		bucket := window / time.Duration(number(t, defaults("sre.WithBucket")))
		for at, left := range map[time.Duration]uint64{bucket - 1: 0, bucket: 1} {
			synctest.Test(t, func(t *testing.T) {
				b := sre.NewBreaker()
				time.Sleep(at)
				b.MarkSuccess()
				time.Sleep(window - 1 - at)
				require.EqualValues(t, 1, b.Snapshot().Window.Success)
				time.Sleep(time.Nanosecond)
				require.Equal(t, left, b.Snapshot().Window.Success)
			})
		}
	})
	t.Run("probe interval", func(t *testing.T) {
		low, high := bounds("sre.WithProbeInterval")
		try := func(d time.Duration) func() { return func() { sre.NewBreaker(sre.WithProbeInterval(d)) } }
		require.NotPanics(t, try(duration(t, low)))
		require.NotPanics(t, try(duration(t, high)))
		require.Panics(t, try(duration(t, low)-time.Millisecond))
		require.Panics(t, try(duration(t, high)+time.Millisecond))

		for _, every := range []time.Duration{duration(t, defaults("sre.WithProbeInterval")), 3 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				var opts []sre.Option
				if every == 3*time.Second {
					opts = append(opts, sre.WithProbeInterval(every))
				}
				calls := offer(ours(1, opts...), 1000, 1, 2*time.Minute, dead)
				_, probes, _ := between(calls, time.Minute, 2*time.Minute)
				require.InEpsilon(t, time.Minute/every, probes, 0.15)
			})
		}
	})
	t.Run("max probe interval", func(t *testing.T) {
		low, high := bounds("sre.WithMaxProbeInterval")
		every := sre.WithProbeInterval(duration(t, low))
		try := func(d time.Duration) func() { return func() { sre.NewBreaker(every, sre.WithMaxProbeInterval(d)) } }
		require.NotPanics(t, try(duration(t, low)))
		require.NotPanics(t, try(duration(t, high)))
		require.Panics(t, try(duration(t, low)-time.Millisecond))
		require.Panics(t, try(duration(t, high)+time.Millisecond))

		require.Contains(t, rows["sre.WithMaxProbeInterval"][1], "at least `sre.WithProbeInterval`")
		require.Equal(t, "as `sre.WithProbeInterval`", defaults("sre.WithMaxProbeInterval"))
		usual := duration(t, defaults("sre.WithProbeInterval"))
		require.Panics(t, func() { sre.NewBreaker(sre.WithMaxProbeInterval(usual - time.Millisecond)) })
		for most, opts := range map[time.Duration][]sre.Option{usual: nil, 3 * time.Second: {sre.WithMaxProbeInterval(3 * time.Second)}} {
			synctest.Test(t, func(t *testing.T) {
				calls := offer(ours(1, opts...), 1000, 1, 6*time.Minute, dead)
				_, young, _ := between(calls, 15*time.Second, time.Minute)
				require.InEpsilon(t, 45*time.Second/usual, young, 0.15)
				_, old, _ := between(calls, 5*time.Minute, 6*time.Minute)
				require.InEpsilon(t, time.Minute/most, old, 0.15)
			})
		}
	})
	t.Run("limit", func(t *testing.T) {
		low, high := bounds("group.WithLimit")
		try := func(n int) func() { return func() { group.NewGroup(sreBreaker, group.WithLimit(n)) } }
		lowest, err := strconv.Atoi(low)
		require.NoError(t, err)
		require.NotPanics(t, try(lowest))
		require.Panics(t, try(lowest-1))
		require.Equal(t, "the largest int", high)
		require.NotPanics(t, try(math.MaxInt))

		limit := int(number(t, defaults("group.WithLimit")))
		g := group.NewGroup(sreBreaker)
		for key := range limit {
			g.Get(fmt.Sprint(key))
		}
		require.Equal(t, limit, g.Len())
		require.Zero(t, g.Overflows())
		require.Same(t, g.Get("one more"), g.Get("and another"))
		require.Equal(t, limit, g.Len())
		require.EqualValues(t, 2, g.Overflows())
		requireReadmeSays(t, "Beyond %d keys, new ones share one overflow breaker", limit)
		requireReadmeSays(t, "at most %d and one for the rest", limit)
	})
	t.Run("idle", func(t *testing.T) {
		low, high := bounds("group.WithIdle")
		try := func(d time.Duration) func() { return func() { group.NewGroup(sreBreaker, group.WithIdle(d)) } }
		require.NotPanics(t, try(duration(t, low)))
		require.NotPanics(t, try(duration(t, high)))
		require.Panics(t, try(duration(t, low)-1))
		require.Panics(t, try(duration(t, high)+1))

		idle := duration(t, defaults("group.WithIdle"))
		requireReadmeSays(t, "nobody has asked for in %v minutes make room", idle.Minutes())
		synctest.Test(t, func(t *testing.T) {
			g := group.NewGroup(sreBreaker)
			first := g.Get("first")
			time.Sleep(idle - 1)
			g.Get("second")
			require.Equal(t, 2, g.Len())
			time.Sleep(time.Nanosecond)
			g.Get("third")
			require.Equal(t, 3, g.Len())
			time.Sleep(idle)
			g.Get("fourth")
			require.NotSame(t, first, g.Get("first"))
		})
	})
}

// optionsOf returns how many options with a range the packages have.
func optionsOf(packages ...string) (n int) {
	for _, b := range bounds.All() {
		option, _ := b.Describe()
		if pkg, _, _ := strings.Cut(option, "."); slices.Contains(packages, pkg) {
			n++
		}
	}
	return n
}

func sreBreaker() *sre.Breaker { return sre.NewBreaker() }

// readmeEvents are the rows of the classification table that are more than a
// code, each with what the classifier meets.
func readmeEvents(t *testing.T) map[string][]error {
	flattened := kratoserrors.New(422, "COUPON_EXPIRED", "").GRPCStatus()
	require.Equal(t, codes.Unknown, flattened.Code())
	_, badJSON := json.Marshal(math.NaN())
	overHTTP := func(err error) error { return &url.Error{Op: "Get", URL: "http://127.0.0.1:8000", Err: err} }
	deadlines := []error{
		context.DeadlineExceeded, overHTTP(context.DeadlineExceeded), status.FromContextError(context.DeadlineExceeded).Err(),
	}
	sent := func(spoil func(*http.Request)) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1", nil)
		require.NoError(t, err)
		spoil(req)
		_, err = http.DefaultClient.Do(req) //nolint:bodyclose // there is none
		require.Error(t, err)
		return err
	}
	_, rejection := (&rejecting{}).Acquire()
	var noError *kratoserrors.Error
	var noURL *url.Error
	answers := []error{kratoserrors.New(503, "", ""), status.Error(codes.Unavailable, ""), kratoserrors.ClientClosed("", ""), status.Error(codes.Canceled, "")}
	failures := append(answers, context.Canceled, overHTTP(context.Canceled), errors.New("the cause"), io.EOF, overHTTP(syscall.ECONNREFUSED), noError)
	return map[string][]error{
		"no error": {nil},
		"any failure, but the caller had cancelled the call":     failures,
		"any failure, but the context had ended before the call": append(failures, deadlines...),
		"cancelled by somebody else than the caller":             {context.Canceled, overHTTP(context.Canceled)},
		"a nil pointer as the error":                             {noError, fmt.Errorf("call: %w", noError), noURL, errors.Join(noURL, errors.New("other"))},
		"business code: a Kratos error whose code is no HTTP status, or gRPC `Unknown` with a Kratos reason": {
			kratoserrors.New(10001, "COUPON_EXPIRED", ""), flattened.Err(), kratoserrors.New(600, "", ""), kratoserrors.New(0, "", ""),
		},
		"the backend hung up: `io.EOF`": {io.EOF, fmt.Errorf("receive: %w", io.EOF), overHTTP(io.EOF), errors.Join(io.EOF, syscall.ECONNREFUSED)},
		"connection refused, reset or timed out; no such host; TLS fails": {
			syscall.ECONNREFUSED, overHTTP(syscall.ECONNREFUSED), syscall.ECONNRESET, overHTTP(syscall.ECONNRESET),
			syscall.ETIMEDOUT, overHTTP(os.ErrDeadlineExceeded), overHTTP(io.ErrUnexpectedEOF),
			overHTTP(&net.DNSError{Err: "no such host", Name: "nobody.invalid", IsNotFound: true}), overHTTP(x509.UnknownAuthorityError{}),
		},
		"a deadline passed during the call, or was the cause of its cancellation": append(deadlines, context.Canceled),
		"Kratos' own client found no node, `NODE_NOT_FOUND` or `no_available_node`": {
			kratoserrors.ServiceUnavailable("NODE_NOT_FOUND", "no nodes"),
			kratoserrors.ServiceUnavailable("no_available_node", "").GRPCStatus().Err(),
		},
		"the backend says that it found no node": {
			kratoserrors.ServiceUnavailable("NODE_NOT_FOUND", "no nodes"),
			kratoserrors.ServiceUnavailable("no_available_node", "").GRPCStatus().Err(),
		},
		"the request could not be encoded": {
			badJSON, fmt.Errorf("encode: %w", badJSON),
			status.Error(codes.Internal, "grpc: error while marshaling: string field contains invalid UTF-8"),
		},
		"net/http sent nothing, for it does not take the URL, the method, a header or the port": {
			sent(func(r *http.Request) { r.URL.Scheme = "htp" }), sent(func(r *http.Request) { r.URL.Host = "" }),
			sent(func(r *http.Request) { r.Method = "GE T" }), sent(func(r *http.Request) { r.Header["a b"] = []string{"c"} }),
			sent(func(r *http.Request) { r.URL.Host = "127.0.0.1:99999" }),
		},
		// That grpc-go says so, transport/grpc tests.
		"grpc-go sent nothing: no credentials, compressor or codec, illegal metadata, too large a message": {
			status.Error(codes.Unauthenticated, "transport: per-RPC creds failed due to error: no token"),
			status.Error(codes.Internal, `grpc: Compressor is not installed for requested grpc-encoding "x"`),
			status.Error(codes.Internal, "no codec registered for content-subtype x"),
			status.Error(codes.Internal, `header key "a" contains value with non-printable ASCII characters`),
			status.Error(codes.ResourceExhausted, "trying to send message larger than max (8 vs. 4)"),
		},
		"an error whose gRPC status is `OK`": {hasStatusOK{}, fmt.Errorf("wrapped: %w", hasStatusOK{})},
		"marked by `breaker.NotSent`": {
			breaker.NotSent(errors.New("no token")), fmt.Errorf("call: %w", breaker.NotSent(kratoserrors.Unauthorized("NO_TOKEN", ""))),
		},
		"rejected by another breaker in this process": {
			rejection, aegis.ErrNotAllowed, cberrors.NotAllowed(breaker.AsRejected("other", rejection)),
		},
		"the backend was itself rejected by its breaker, `CIRCUITBREAKER`": {
			kratoserrors.New(503, "CIRCUITBREAKER", ""), kratoserrors.New(503, "CIRCUITBREAKER", "").GRPCStatus().Err(),
		},
		"any other error": {errors.New("other")},
	}
}

type rejecting struct{}

func (*rejecting) Acquire() (breaker.Permit, error) {
	return breaker.Permit{}, breaker.NewRejectedError("other", breaker.Open, breaker.ReasonOpen, time.Time{}, nil)
}

// readmeContexts are the contexts of the rows that speak of them.
func readmeContexts(t *testing.T) map[string]context.Context {
	cancelled, cancel := context.WithCancel(clientContext("/op"))
	cancel()
	late, cancel := context.WithTimeout(clientContext("/op"), -time.Second)
	t.Cleanup(cancel)
	outOfTime, cancelCause := context.WithCancelCause(clientContext("/op"))
	cancelCause(context.DeadlineExceeded)
	return map[string]context.Context{
		"any failure, but the caller had cancelled the call":                        cancelled,
		"any failure, but the context had ended before the call":                    late,
		"a deadline passed during the call, or was the cause of its cancellation":   outOfTime,
		"Kratos' own client found no node, `NODE_NOT_FOUND` or `no_available_node`": selector.NewPeerContext(clientContext("/op"), &selector.Peer{}),
		"the backend says that it found no node": selector.NewPeerContext(clientContext("/op"), &selector.Peer{
			Node: selector.NewNode("grpc", "127.0.0.1:9000", nil),
		}),
	}
}

func TestReadme_TheClassificationTableIsWhatTheCodeDoes(t *testing.T) {
	const panicked = "a panic in the handler"
	// Of these, the error alone does not tell.
	const gone, tooLate = "any failure, but the caller had cancelled the call", "any failure, but the context had ended before the call"
	const noNode = "Kratos' own client found no node, `NODE_NOT_FOUND` or `no_available_node`"
	const outOfTime = "a deadline passed during the call, or was the cause of its cancellation"

	events, contexts := readmeEvents(t), readmeContexts(t)
	statuses, grpcCodes := map[int]bool{}, map[codes.Code]bool{}
	for _, row := range readmeTable(t, "how the call ended") {
		what, want := row[0], row[3]
		ctx, ok := contexts[what]
		if !ok {
			ctx = clientContext("/op")
		}
		errs, isEvent := events[what]
		delete(events, what)
		httpStatuses := parseStatuses(t, row[1])
		grpc := parseCodes(t, row[2])
		require.True(t, isEvent || what == panicked || len(httpStatuses)+len(grpc) > 0, "%q is in no test", what)
		for _, s := range httpStatuses {
			require.False(t, statuses[s], "two rows for %d", s)
			statuses[s] = true
			errs = append(errs, kratoserrors.New(s, "", ""), fmt.Errorf("wrapped: %w", kratoserrors.New(s, "A_REASON", "")))
		}
		for _, c := range grpc {
			require.False(t, grpcCodes[c], "two rows for %v", c)
			grpcCodes[c] = true
			errs = append(errs, status.Error(c, "message"))
			if c != codes.OK {
				errs = append(errs, fmt.Errorf("wrapped: %w", status.Error(c, "message")))
			}
		}
		if what == panicked {
			require.Equal(t, want, markOf(ctx, circuitbreaker.WithCircuitBreaker[*breakertest.Recorder], func() error { panic("x") }))
			continue
		}
		want, option, hasOption := strings.Cut(want, ", or ")
		for _, err := range errs {
			if what != gone && what != tooLate && what != noNode {
				require.Equal(t, want, cberrors.Classify(err).String(), "%s: %v", what, err)
			}
			if what != tooLate && what != noNode {
				require.Equal(t, want, breaker.OutcomeOf(ctx, err, cberrors.Classify).String(), "%s: %v", what, err)
			}
			mark := func() string {
				return markOf(ctx, circuitbreaker.WithCircuitBreaker[*breakertest.Recorder], func() error { return err })
			}
			if what == outOfTime { // while the call runs
				mark = func() string {
					running, cancel := context.WithCancelCause(clientContext("/op"))
					return markOf(running, circuitbreaker.WithCircuitBreaker[*breakertest.Recorder], func() error {
						cancel(context.DeadlineExceeded)
						return err
					})
				}
			}
			require.Equal(t, want, mark(), "%s: %v", what, err)
			if hasOption {
				require.Equal(t, "failure with `errors.WithOverload`", option)
				require.Equal(t, breaker.Failure, cberrors.NewClassifier(cberrors.WithOverload())(err), "%s: %v", what, err)
			}
		}
	}
	require.Empty(t, events, "no rows for these")
	for s := 100; s <= 599; s++ {
		require.True(t, statuses[s], "no row for %d", s)
	}
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		require.True(t, grpcCodes[c], "no row for %v", c)
	}
}

func TestReadme_ABadGatewayThatKratosSendsOverGRPCCountsAsABusinessCode(t *testing.T) {
	requireReadmeSays(t, "gRPC has no code for 502 or 505, so a Kratos backend that returns such an error with a reason sends `Unknown`")
	for _, code := range []int{502, 505} {
		sent := kratoserrors.New(code, "BROKEN", "").GRPCStatus()
		require.Equal(t, codes.Unknown, sent.Code())
		require.Equal(t, breaker.Success, cberrors.Classify(sent.Err()))
	}
}

func TestReadme_AClassifierIsAskedAboutAnswersOnlyIfTheCallerIsToBlame(t *testing.T) {
	requireReadmeSays(t, "if the caller is to blame, it is asked about answers only")
	late, cancel := context.WithTimeout(clientContext("/op"), -time.Second)
	defer cancel()
	for _, ctx := range []context.Context{late, clientContext("/op")} {
		for _, err := range []error{context.DeadlineExceeded, context.Canceled, kratoserrors.NotFound("NO_USER", "")} {
			asked := false
			classify := circuitbreaker.WithClassifier(func(err error) breaker.Outcome {
				asked = true
				return cberrors.Classify(err)
			})
			_, got := circuitbreaker.Client(classify)(func(context.Context, any) (any, error) { return nil, err })(ctx, nil)
			require.Equal(t, err, got)
			require.Equal(t, ctx != late || kratoserrors.IsNotFound(err), asked, "%v", err)
		}
	}
}

func TestReadme_TheDifferencesFromKratosAreWhatBothDo(t *testing.T) {
	cancelled, cancel := context.WithCancel(clientContext("/op"))
	cancel()
	ctx := clientContext("/op")
	events := readmeEvents(t)

	// The rows that say how both count an error.
	counts := map[string]struct {
		ctx  context.Context
		errs []error
	}{
		"HTTP 502, 505 and 52x": {ctx, []error{
			kratoserrors.New(502, "", ""), kratoserrors.New(505, "", ""), kratoserrors.New(520, "", ""), kratoserrors.New(529, "", ""),
		}},
		"HTTP 501 and gRPC `Unimplemented`":   {ctx, []error{kratoserrors.New(501, "", ""), status.Error(codes.Unimplemented, "")}},
		"cancelled by the caller, HTTP":       {cancelled, []error{&url.Error{Op: "Get", URL: "/", Err: context.Canceled}}},
		"cancelled by the caller, gRPC":       {cancelled, []error{status.FromContextError(context.Canceled).Err()}},
		"a cancellation by the backend, gRPC": {ctx, []error{status.Error(codes.Canceled, "")}},
		"Kratos' own client found no node": {
			readmeContexts(t)["Kratos' own client found no node, `NODE_NOT_FOUND` or `no_available_node`"],
			events["Kratos' own client found no node, `NODE_NOT_FOUND` or `no_available_node`"],
		},
		"a business code that gRPC made `Unknown`": {ctx, events["business code: a Kratos error whose code is no HTTP status, or gRPC `Unknown` with a Kratos reason"][1:2]},
	}
	// The other rows.
	behaviours := map[string]func(t *testing.T){
		"recovery after an outage":                  readmeRecoveries,
		"an operation with 10 calls/s":              readmeQuietOperation,
		"one dead node of two, 100 calls/s or more": readmeDeadNode,
		"`sre.WithRequest`, by default": func(t *testing.T) {
			// That these are the defaults, the table of the options tests.
			row := readmeRow(t, "what", "`sre.WithRequest`, by default")
			require.Equal(t, readmeRow(t, "option", "`sre.WithRequest`")[3], fmt.Sprintf("%s, or %s with `sre.Classic`", row[2], row[1]))
		},
		"a panic in the handler": func(t *testing.T) {
			boom := func() error { panic("boom") }
			require.Equal(t, "none", markOf(ctx, kratosWithCircuitBreaker, boom))
			require.Equal(t, "failure", markOf(ctx, circuitbreaker.WithCircuitBreaker[*breakertest.Recorder], boom))
			h := circuitbreaker.Client()(func(context.Context, any) (any, error) { panic("boom") })
			require.PanicsWithValue(t, "boom", func() { _, _ = h(ctx, nil) })
		},
		"a call without a client transport": func(t *testing.T) {
			bare := func(context.Context, any) (any, error) { return "reply", nil }
			require.Panics(t, func() { _, _ = kratoscb.Client()(bare)(t.Context(), nil) })
			reply, err := circuitbreaker.Client()(bare)(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, "reply", reply)
			keyed := &breakertest.Recorder{}
			m := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() *breakertest.Recorder { return keyed }),
				circuitbreaker.WithKey(func(context.Context, any) string { return "key" }))
			_, _ = m(bare)(t.Context(), nil)
			require.Equal(t, []string{"success"}, keyed.Marks)
		},
		"the error of a rejected call": func(t *testing.T) {
			all := &breakertest.Recorder{Rejects: true}
			_, theirs := kratoscb.Client(kratoscb.WithCircuitBreaker(func() aegis.CircuitBreaker { return all }))(nil)(ctx, nil)
			require.Same(t, kratoscb.ErrNotAllowed, theirs)
			h := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() *breakertest.Recorder { return all }))(
				func(context.Context, any) (any, error) { return nil, nil })
			_, ours := h(ctx, nil)
			require.ErrorIs(t, ours, circuitbreaker.ErrNotAllowed)
			before := circuitbreaker.ErrNotAllowed
			circuitbreaker.ErrNotAllowed = kratoserrors.New(429, "MINE", "mine")
			require.Equal(t, 503, kratoserrors.Code(ours))
			circuitbreaker.ErrNotAllowed = before
			require.NotSame(t, circuitbreaker.ErrNotAllowed, kratoserrors.FromError(ours))
			require.NotSame(t, kratoserrors.FromError(ours), kratoserrors.FromError(ours))
			require.NotNil(t, readmeRejection(ours))
		},
		"`WithGroup`": func(t *testing.T) {
			theirs := reflect.TypeOf(kratoscb.WithGroup).In(0).Elem().PkgPath()
			require.Contains(t, theirs, "/internal/")
			ours := reflect.TypeOf(circuitbreaker.WithGroup[*sre.Breaker]).In(0).Elem().PkgPath()
			require.Equal(t, "github.com/kratos-breaker/breaker/group", ours)
		},
		"the number of breakers": func(t *testing.T) {
			made := func(m func(factory func() aegis.CircuitBreaker) middleware.Middleware) (n int) {
				h := m(func() aegis.CircuitBreaker { n++; return &breakertest.Recorder{} })(
					func(context.Context, any) (any, error) { return nil, nil })
				for i := range 1000 {
					_, _ = h(clientContext(fmt.Sprintf("/%d", i)), nil)
				}
				return n
			}
			require.Equal(t, 1000, made(func(f func() aegis.CircuitBreaker) middleware.Middleware {
				return kratoscb.Client(kratoscb.WithCircuitBreaker(f))
			}))
			require.Equal(t, 257, made(func(f func() aegis.CircuitBreaker) middleware.Middleware {
				return circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(f))
			}))
		},
		"the key of an HTTP call without an operation": func(t *testing.T) {
			keyOf := func(tr transport.Transporter) string {
				g := group.NewGroup(sreBreaker)
				h := circuitbreaker.Client(circuitbreaker.WithGroup(g))(
					func(context.Context, any) (any, error) { return nil, nil })
				_, _ = h(transport.NewClientContext(t.Context(), tr), nil)
				for key := range g.All() {
					return key
				}
				return "none"
			}
			req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:8000/users/7?full=1", nil)
			require.NoError(t, err)
			call := &httpTransport{readmeTransport: readmeTransport{operation: "/users/7?full=1"}, req: req}
			require.Equal(t, "/users/7", keyOf(call))
			call.template = "/users/{id}"
			require.Equal(t, "/users/{id}", keyOf(call))
			call.operation = "/users.v1.Users/Get"
			require.Equal(t, "/users.v1.Users/Get", keyOf(call))
		},
		"an option out of its range": func(t *testing.T) {
			require.NotPanics(t, func() { aegissre.NewBreaker(aegissre.WithRequest(0)) })
			require.Panics(t, func() { sre.NewBreaker(sre.WithRequest(0)) })
			later := aegissre.NewBreaker(aegissre.WithWindow(0))
			require.Panics(t, func() { _ = later.Allow() })
			require.Panics(t, func() { sre.NewBreaker(sre.WithWindow(0)) })
		},
		"state and counts": func(t *testing.T) {
			require.NotNil(t, breaker.Breaker.Snapshot)
			_, ok := reflect.TypeFor[aegis.CircuitBreaker]().MethodByName("Snapshot")
			require.False(t, ok)
		},
	}
	for _, row := range readmeTable(t, "what") {
		c, isCount := counts[row[0]]
		behaviour, isBehaviour := behaviours[row[0]]
		require.True(t, isCount != isBehaviour, "%q is in no test", row[0])
		t.Run(row[0], func(t *testing.T) {
			if isBehaviour {
				behaviour(t)
				return
			}
			require.NotEmpty(t, c.errs)
			for _, err := range c.errs {
				require.Equal(t, row[1], markOf(c.ctx, kratosWithCircuitBreaker, func() error { return err }), "Kratos: %v", err)
				require.Equal(t, row[2], markOf(c.ctx, circuitbreaker.WithCircuitBreaker[*breakertest.Recorder], func() error { return err }), "%v", err)
			}
		})
		delete(counts, row[0])
		delete(behaviours, row[0])
	}
	require.Empty(t, counts)
	require.Empty(t, behaviours)
}

func TestReadme_TheMiddlewareAllocatesNothingAndKratosTwice(t *testing.T) {
	requireReadmeSays(t, "allocates nothing, where Kratos' allocates twice")
	ctx := clientContext("/op")
	allocs := func(m middleware.Middleware) float64 {
		h := m(func(context.Context, any) (any, error) { return nil, nil })
		return testing.AllocsPerRun(1000, func() { _, _ = h(ctx, nil) })
	}
	require.Zero(t, allocs(circuitbreaker.Client()))
	require.EqualValues(t, 2, allocs(kratoscb.Client()))
}

// markOf returns the mark that a middleware leaves after one call that ends as
// given: success, failure, ignored, or none.
func markOf[O any](ctx context.Context, with func(func() *breakertest.Recorder) O, call func() error) string {
	r := &breakertest.Recorder{}
	var m middleware.Middleware
	switch option := any(with(func() *breakertest.Recorder { return r })).(type) {
	case circuitbreaker.Option:
		m = circuitbreaker.Client(option)
	case kratoscb.Option:
		m = kratoscb.Client(option)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = m(func(context.Context, any) (any, error) { return nil, call() })(ctx, nil)
	}()
	if len(r.Marks) == 0 {
		return "none"
	}
	return strings.Join(r.Marks, "+")
}

func kratosWithCircuitBreaker(factory func() *breakertest.Recorder) kratoscb.Option {
	return kratoscb.WithCircuitBreaker(func() aegis.CircuitBreaker { return factory() })
}

type readmeTransport struct {
	transport.Transporter
	operation string
}

func (t *readmeTransport) Operation() string { return t.operation }
func (t *readmeTransport) Endpoint() string  { return "127.0.0.1:8000" }

func (t *readmeTransport) Kind() transport.Kind { return transport.KindHTTP }

func (t *readmeTransport) ReplyHeader() transport.Header { return nil }

type httpTransport struct {
	readmeTransport
	template string
	req      *http.Request
}

func (t *httpTransport) PathTemplate() string   { return t.template }
func (t *httpTransport) Request() *http.Request { return t.req }

func clientContext(operation string) context.Context {
	return transport.NewClientContext(context.Background(), &readmeTransport{operation: operation})
}

// Reading the README.

func readmeText(t *testing.T) string {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(text)
}

// requireReadmeSays requires a sentence to be there, however it is wrapped.
func requireReadmeSays(t *testing.T, format string, args ...any) {
	t.Helper()
	require.Contains(t, strings.Join(strings.Fields(readmeText(t)), " "), fmt.Sprintf(format, args...))
}

type readmeBlock struct {
	lines []string
	end   int // the number of the line that ends it
}

func readmeBlocks(t *testing.T, language string) (blocks []readmeBlock) {
	var block *readmeBlock
	for i, line := range strings.Split(readmeText(t), "\n") {
		switch {
		case block == nil && line == "```"+language:
			block = &readmeBlock{}
		case block != nil && line == "```":
			block.end = i + 1
			blocks = append(blocks, *block)
			block = nil
		case block != nil:
			block.lines = append(block.lines, line)
		}
	}
	require.NotEmpty(t, blocks, language)
	return blocks
}

// readmeTable returns the cells of the table whose first column has the given
// title.
func readmeTable(t *testing.T, title string) (rows [][]string) {
	for line := range strings.Lines(readmeText(t)) {
		line = strings.TrimSpace(line)
		switch found := strings.HasPrefix(line, "| "+title+" |"); {
		case found:
			require.Empty(t, rows, "two tables with %q", title)
			rows = [][]string{}
		case rows != nil && !strings.HasPrefix(line, "|"):
			require.NotEmpty(t, rows, title)
			return rows
		case rows != nil && !strings.HasPrefix(line, "|-"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	require.Fail(t, "no table", title)
	return nil
}

// requireCode requires the block to stand in a file, whatever its indentation.
func requireCode(t *testing.T, block readmeBlock, files ...string) {
	t.Helper()
	var lines []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		lines = append(lines, strings.Split(string(text), "\n")...)
	}
	for i := range lines {
		indent := lines[i][:len(lines[i])-len(strings.TrimLeft(lines[i], "\t"))]
		if len(lines)-i >= len(block.lines) && slices.EqualFunc(block.lines, lines[i:i+len(block.lines)], func(want, line string) bool {
			return line == strings.TrimRight(indent+want, "\t")
		}) {
			return
		}
	}
	require.Fail(t, "the sample is not in "+strings.Join(files, ", "), strings.Join(block.lines, "\n"))
}

// readmeRow returns the row of a table that begins with a cell.
func readmeRow(t *testing.T, title, first string) []string {
	t.Helper()
	for _, row := range readmeTable(t, title) {
		if row[0] == first {
			return row
		}
	}
	require.Fail(t, "no row", first)
	return nil
}

// hasStatusOK is an error that says that there is none.
type hasStatusOK struct{}

func (hasStatusOK) Error() string              { return "a foreign answer" }
func (hasStatusOK) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

func parseStatuses(t *testing.T, cell string) (statuses []int) {
	for part := range strings.SplitSeq(cell, ", ") {
		if part == "" {
			continue
		}
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		for s := int(number(t, first)); s <= int(number(t, last)); s++ {
			statuses = append(statuses, s)
		}
	}
	return statuses
}

func parseCodes(t *testing.T, cell string) (parsed []codes.Code) {
	byName := map[string]codes.Code{}
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		byName["`"+c.String()+"`"] = c
	}
	for name := range strings.SplitSeq(cell, ", ") {
		if name == "" {
			continue
		}
		require.Contains(t, byName, name)
		parsed = append(parsed, byName[name])
	}
	return parsed
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return n
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	require.NoError(t, err)
	return d
}

// exportedNames returns the exported functions, types, variables and constants
// of the package in dir, without those of its tests.
func exportedNames(t *testing.T, dir string) (names []string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names = append(names, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						names = append(names, s.Name.Name)
					case *ast.ValueSpec:
						for _, name := range s.Names {
							names = append(names, name.Name)
						}
					}
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return !ast.IsExported(name) })
}

func TestReadme_TenantsBeyondTheLimitShareOneFate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants := group.NewGroup(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithFailureRate(0.5, 20, 10*time.Second))
		}, group.WithLimit(1))
		tenants.Get("the only one within the limit")
		healthy, rejected := 0, 0
		for i := range 3600 {
			tenant, end := "bad", errors.New("down")
			if i%3 == 2 {
				tenant, end = fmt.Sprint("tenant ", i%30), nil
				healthy++
			}
			err := breaker.Run(t.Context(), tenants.Get(tenant), func(context.Context) error { return end })
			if end == nil && cberrors.IsRejected(err) {
				rejected++
			}
			time.Sleep(100 * time.Millisecond)
		}
		requireReadmeSays(t, "%d of %d calls of healthy tenants were rejected", rejected, healthy)
	})
}

// And so they do with any limit and any breaker, while those within the limit do not.
func TestReadme_TenantsWithinTheLimitDoNotShareTheFateOfThoseBeyondIt(t *testing.T) {
	type tenants interface {
		Get(key string) breaker.Breaker
	}
	limited := func(n int, makeBreaker func() breaker.Breaker) tenants {
		return group.NewGroup(makeBreaker, group.WithLimit(n))
	}
	rate := func() breaker.Breaker { return circuit.NewBreaker(circuit.WithFailureRate(0.5, 20, 10*time.Second)) }
	for name, g := range map[string]tenants{
		"2 keys":                   limited(2, rate),
		"10 keys":                  limited(10, rate),
		"failures in a row":        limited(2, func() breaker.Breaker { return circuit.NewBreaker(circuit.WithConsecutiveFailures(2)) }),
		"an adaptive breaker":      limited(2, func() breaker.Breaker { return sre.NewBreaker() }),
		"another rate of failures": limited(2, func() breaker.Breaker { return circuit.NewBreaker(circuit.WithFailureRate(0.3, 50, time.Minute)) }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call := func(tenant string, end error) bool {
					return cberrors.IsRejected(breaker.Run(t.Context(), g.Get(tenant), func(context.Context) error { return end }))
				}
				for i := range 10 {
					call(fmt.Sprint("early ", i), nil)
				}
				within, beyond := 0, 0
				for i := range 1200 {
					call("bad", errors.New("down"))
					call("bad", errors.New("down"))
					if call("early 0", nil) || call("early 1", nil) {
						within++
					}
					if call(fmt.Sprint("late ", i%30), nil) {
						beyond++
					}
					time.Sleep(300 * time.Millisecond)
				}
				require.Zero(t, within)
				require.Greater(t, beyond, 50, "of 1200; an adaptive breaker rejects the fewest")
			})
		})
	}
}
