package docs_test

// docs/migrate.md makes claims, as the README does. This file reads them from
// there: each sample called "now" is code of this file, and each row with an id
// has a check in migrateDifferences.

import (
	"context"
	"errors"
	"fmt"
	"go/format"
	"io"
	"log"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// The samples, in functions that the tests below call.

func migrateGobreaker(ctx context.Context, greet func(context.Context) (string, error)) func() (string, error) {
	b := circuit.NewBreaker(
		circuit.WithName("greeter"),
		circuit.WithProbes(3, 3),
		circuit.WithDelay(3*time.Second),
		circuit.WithOpenWhen(time.Second, func(c circuit.Counts) bool {
			return c.ConsecutiveFailures > 3 && 10*c.Failure > 6*(c.Success+c.Failure)
		}),
		circuit.WithListener(func(e breaker.Event) {
			log.Printf("%s changed from %s to %s: %s", e.Snapshot.Name, e.From, e.To, e.Cause)
		}),
	)
	hello := func() (string, error) {
		greeting, err := breaker.Do(ctx, b, greet)
		if errors.Is(err, aegis.ErrNotAllowed) {
			return "hello from the cache", nil
		}
		return greeting, err
	}
	return hello
}

func migrateTwoStep(ctx context.Context, b *circuit.Breaker, call func(context.Context) error) error {
	permit, err := b.Acquire()
	if err != nil {
		return err
	}
	err = call(ctx)
	if err != nil {
		permit.Done(breaker.Failure)
	} else {
		permit.Done(breaker.Success)
	}
	return err
}

var errConnecting = errors.New("connecting")

func migrateFailsafe(ctx context.Context, logger *slog.Logger, sendMessage func(context.Context) error) (*circuit.Breaker, error) {
	b := circuit.NewBreaker(
		circuit.WithFailureCount(3, 5),
		circuit.WithProbes(2, 2),
		circuit.WithDelay(time.Minute),
		circuit.WithListener(func(e breaker.Event) {
			logger.Info("state changed", "old", e.From, "new", e.To, "cause", e.Cause)
		}),
	)
	err := breaker.Run(ctx, b, sendMessage, breaker.WithClassifier(func(err error) breaker.Outcome {
		if errors.Is(err, errConnecting) {
			return breaker.Failure
		}
		return breaker.Success
	}))
	return b, err
}

func migrateStandalone(ctx context.Context, b *circuit.Breaker, doSomething func(context.Context) error) {
	if permit, err := b.Acquire(); err == nil {
		if err := doSomething(ctx); err != nil {
			permit.Done(breaker.Failure)
		} else {
			permit.Done(breaker.Success)
		}
	}
}

type migrateTransport func(context.Context, string) error

func (f migrateTransport) Send(ctx context.Context, msg string) error { return f(ctx, msg) }

func migrateMist(ctx context.Context, transport migrateTransport, serveCachedResponse func() error) func(string) error {
	cb := circuit.NewBreaker(
		circuit.WithConsecutiveFailures(5),
		circuit.WithDelay(30*time.Second),
		circuit.WithProbes(1, 1),
	)
	send := func(msg string) error {
		err := breaker.Run(ctx, cb, func(ctx context.Context) error {
			return transport.Send(ctx, msg)
		})
		if errors.Is(err, aegis.ErrNotAllowed) {
			return serveCachedResponse() // the function was not called
		}
		return err
	}
	return send
}

func migrateKratos() middleware.Middleware {
	m := circuitbreaker.Client(circuitbreaker.WithGroup(group.NewKeyed(func(operation string) *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithName(operation))
	})))
	return m
}

func migrateKratosV1(ctx context.Context, run func(context.Context) error, fallback func(context.Context, error) error) (*group.Group[*sre.Breaker], error) {
	g := group.NewGroup(func() *sre.Breaker {
		return sre.NewBreaker(sre.Classic(), sre.WithSuccess(2.0/3), sre.WithWindow(3*time.Second), sre.WithBucket(10), sre.WithRequest(100))
	})
	err := breaker.Run(ctx, g.Get("users"), run, breaker.WithRunFallback(fallback))
	return g, err
}

func migrateHystrix(ctx context.Context, run, fallback func(context.Context) error) error {
	commands := group.NewKeyed(func(name string) *circuit.Breaker {
		return circuit.NewBreaker(
			circuit.WithName(name),
			circuit.WithFailurePercent(50, 20, 10*time.Second),
			circuit.WithDelay(5*time.Second),
		)
	})
	err := breaker.Run(ctx, commands.Get("users"), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return run(ctx)
	})
	if err != nil {
		return fallback(ctx)
	}
	return nil
}

func TestMigrate_EverySampleOfOursIsCompiledAndStandsAfterOneOfTheirs(t *testing.T) {
	blocks := migrateBlocks(t)
	require.Zero(t, len(blocks)%2)
	for i, block := range blocks {
		if i%2 == 0 {
			code, ok := strings.CutPrefix(block, "// before\n")
			require.True(t, ok, block)
			formatted, err := format.Source([]byte(code))
			require.NoError(t, err, code)
			require.Equal(t, string(formatted), code)
			continue
		}
		code, ok := strings.CutPrefix(block, "// now\n")
		require.True(t, ok, block)
		requireCode(t, readmeBlock{lines: strings.Split(strings.TrimSuffix(code, "\n"), "\n")}, "internal/docs/migrate_test.go")
	}
}

func TestMigrate_EverySampleDoesWhatItShows(t *testing.T) {
	down := errors.New("down")
	t.Run("gobreaker", func(t *testing.T) {
		log.SetOutput(io.Discard)
		defer log.SetOutput(os.Stderr)
		synctest.Test(t, func(t *testing.T) {
			err := error(nil)
			hello := migrateGobreaker(t.Context(), func(context.Context) (string, error) { return "hello", err })
			greeting, got := hello()
			require.NoError(t, got)
			require.Equal(t, "hello", greeting)
			err = down
			for range 4 {
				_, got = hello()
				require.ErrorIs(t, got, down)
			}
			greeting, got = hello()
			require.NoError(t, got)
			require.Equal(t, "hello from the cache", greeting)

			time.Sleep(3 * time.Second)
			err = nil
			for range 4 {
				greeting, got = hello()
				require.NoError(t, got)
				require.Equal(t, "hello", greeting)
			}
		})
	})
	t.Run("two steps and standalone", func(t *testing.T) {
		for _, call := range []func(*circuit.Breaker, func(context.Context) error){
			func(b *circuit.Breaker, f func(context.Context) error) { migrateStandalone(t.Context(), b, f) },
			func(b *circuit.Breaker, f func(context.Context) error) { _ = migrateTwoStep(t.Context(), b, f) },
		} {
			b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
			call(b, func(context.Context) error { return nil })
			call(b, func(context.Context) error { return down })
			call(b, func(context.Context) error { panic("called") })
			require.Equal(t, breaker.Totals{Offered: 3, Allowed: 2, Rejected: 1, Success: 1, Failure: 1}, b.Snapshot().Totals)
		}
	})
	t.Run("failsafe-go", func(t *testing.T) {
		var out strings.Builder
		logger := slog.New(slog.NewTextHandler(&out, nil))
		b, err := migrateFailsafe(t.Context(), logger, func(context.Context) error { return down })
		require.ErrorIs(t, err, down)
		require.EqualValues(t, 1, b.Snapshot().Totals.Success)
		b, err = migrateFailsafe(t.Context(), logger, func(context.Context) error { return errConnecting })
		require.ErrorIs(t, err, errConnecting)
		b.MarkFailed()
		b.MarkFailed()
		require.Contains(t, out.String(), `old=closed new=open cause="3 of the last 5 calls failed"`)
	})
	t.Run("mist-go", func(t *testing.T) {
		cached := errors.New("cached")
		send := migrateMist(t.Context(), func(context.Context, string) error { return down }, func() error { return cached })
		for range 5 {
			require.ErrorIs(t, send("hello"), down)
		}
		require.ErrorIs(t, send("hello"), cached)
	})
	t.Run("Kratos", func(t *testing.T) {
		h := migrateKratos()(func(context.Context, any) (any, error) { return nil, down })
		for range 5 {
			_, err := h(clientContext("/hello"), nil)
			require.ErrorIs(t, err, down)
		}
		_, err := h(clientContext("/hello"), nil)
		require.Equal(t, "/hello", readmeRejection(err).Name())
	})
	t.Run("Kratos v1", func(t *testing.T) {
		g, err := migrateKratosV1(t.Context(), func(context.Context) error { return down }, func(_ context.Context, err error) error { return err })
		require.ErrorIs(t, err, down)
		require.EqualValues(t, 1, g.Get("users").Snapshot().Totals.Failure)
	})
	t.Run("hystrix-go", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began, fallback := time.Now(), func(context.Context) error { return errors.New("answered") }
			hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			require.EqualError(t, migrateHystrix(t.Context(), hang, fallback), "answered")
			require.Equal(t, time.Second, time.Since(began))
			require.NoError(t, migrateHystrix(t.Context(), func(context.Context) error { return nil }, fallback))
		})
	})
}

func TestMigrate_EveryNameItMentionsIsExported(t *testing.T) {
	dirs := map[string]string{
		"breaker": ".", "circuit": "circuit", "group": "group", "sre": "sre", "circuitbreaker": "middleware/circuitbreaker",
	}
	text := migrateText(t)
	for i, block := range migrateBlocks(t) {
		if i%2 == 0 { // theirs, where the packages are others
			text = strings.Replace(text, block, "", 1)
		}
	}
	mentions := regexp.MustCompile(`\b(\w+)\.([A-Z]\w*)`).FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, mentions)
	for _, m := range mentions {
		if dir, ok := dirs[m[1]]; ok {
			require.Contains(t, exportedNames(t, dir), m[2], m[0])
		}
	}
}

func TestMigrate_EveryOptionOfTheBreakerIsThere(t *testing.T) {
	text := migrateText(t)
	for _, name := range exportedNames(t, "circuit") {
		if strings.HasPrefix(name, "With") {
			require.Regexp(t, `\bcircuit\.`+name+`\b`, text)
		}
	}
}

func TestMigrate_EveryLinkLeadsSomewhere(t *testing.T) {
	anchors := func(text string) (anchors []string) {
		for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
			h := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(h[1]), "")
			anchors = append(anchors, strings.ReplaceAll(h, " ", "-"))
		}
		return anchors
	}
	prose := regexp.MustCompile("(?ms)^```go$.*?^```$").ReplaceAllString(migrateText(t), "")
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(prose, -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		file, anchor, _ := strings.Cut(link[1], "#")
		target := filepath.Join("docs", file)
		if file == "" {
			target = "docs/migrate.md"
		}
		text, err := os.ReadFile(target)
		require.NoError(t, err)
		if anchor != "" {
			require.Contains(t, anchors(string(text)), anchor)
		}
	}
}

func TestMigrate_EveryTableHasAsManyCellsInEachRow(t *testing.T) {
	columns := 0
	for line := range strings.Lines(migrateText(t)) {
		n := strings.Count(line, "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			columns = 0
		case columns == 0:
			columns = n
		default:
			require.Equal(t, columns, n, line)
		}
	}
}

func TestMigrate_TheNumbersOfTheStatesAreOurs(t *testing.T) {
	require.Contains(t, migrateText(t), fmt.Sprintf("\n| here | %d | %d | %d |\n", breaker.Closed, breaker.HalfOpen, breaker.Open))
}

func TestMigrate_EveryDifferenceIsWhatTheBreakerDoes(t *testing.T) {
	checks := migrateDifferences()
	var ids []string
	for _, id := range regexp.MustCompile(`\b[MFGV]-\d\d\b`).FindAllString(migrateText(t), -1) {
		require.NotContains(t, ids, id, "twice")
		ids = append(ids, id)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(checks)), ids)
	for _, id := range ids {
		t.Run(id, func(t *testing.T) { synctest.Test(t, checks[id]) })
	}
}

func migrateText(t *testing.T) string {
	text, err := os.ReadFile("docs/migrate.md")
	require.NoError(t, err)
	return string(text)
}

// migrateBlocks returns the samples in the order of the page.
func migrateBlocks(t *testing.T) (blocks []string) {
	for _, m := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(migrateText(t), -1) {
		blocks = append(blocks, m[1])
	}
	require.NotEmpty(t, blocks)
	return blocks
}
