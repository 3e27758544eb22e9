package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker/dashboard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOutage_BearsOutItsClaimsInAShortRun(t *testing.T) {
	var stdout, stderr string
	code := -1
	// The program says so when the machine was too busy to judge the breakers.
	// Then it takes more time.
	for _, duration := range []string{"8s", "16s", "32s"} {
		stdout, stderr, code = outage(t.Context(), "-duration", duration, "-rps", "80")
		if !strings.Contains(stderr, errStarved.Error()) {
			break
		}
	}
	require.Equal(t, exitOK, code, "%s%s", stdout, stderr)
	require.Empty(t, stderr)
	require.NotContains(t, stdout, "FAILED")
	for _, transport := range []string{overHTTP, overGRPC} {
		require.Regexp(t, `(?m)^`+transport+`: breaker recovered after \d+\.\d s, kratos (after|not within) \d+\.\d s\.$`, stdout)
	}
	require.Contains(t, stdout, "\n11 of 11 claims held.\n")
	require.Equal(t, 11, strings.Count(stdout, "\nok "))
	at := 0
	for p := range phases {
		i := strings.Index(stdout[at:], "/6 "+p.String())
		require.GreaterOrEqual(t, i, 0, "no table of %v where it belongs:\n%s", p, stdout)
		at += i
	}
	for line := range strings.Lines(stdout) {
		require.LessOrEqual(t, len(line), 100, line)
	}
}

func TestOutage_EndsCleanlyWhenInterrupted(t *testing.T) {
	for during, after := range map[phase]string{healthy: "timeout", slow: "2/6 502s", refused: "3/6 slow"} {
		t.Run(during.String(), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stdout := &trap{after: after, spring: cancel}
			var stderr bytes.Buffer
			code := run(ctx, []string{"-duration", "8s", "-rps", "50"}, stdout, &stderr)
			require.Equal(t, exitInterrupted, code)
			require.Contains(t, stdout.String(), "cut short")
			require.NotContains(t, stdout.String(), "claims held")
			require.Equal(t, "outage: interrupted, no claim was checked\n", stderr.String())
			require.NoError(t, goleak.Find())
		})
	}
}

func TestOutage_EndsAtOnceWhenInterruptedBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, stderr, code := outage(ctx)
	require.Equal(t, exitInterrupted, code)
	require.Contains(t, stderr, "interrupted")
}

func TestOutage_NamesTheRangeOfAWrongFlag(t *testing.T) {
	const duration, rps = "want a duration in [6s, 5m0s]", "want calls per second in [50, 500]"
	for args, want := range map[string]string{
		"-duration -1s":    "-duration -1s: " + duration,
		"-duration 0":      "-duration 0s: " + duration,
		"-duration 5.99s":  "-duration 5.99s: " + duration,
		"-duration 301s":   "-duration 5m1s: " + duration,
		"-duration NaN":    "in [6s, 5m0s]",
		"-rps 0":           "-rps 0: " + rps,
		"-rps -200":        "-rps -200: " + rps,
		"-rps 500.1":       "-rps 500.1: " + rps,
		"-rps NaN":         "-rps NaN: " + rps,
		"-rps Inf":         "-rps +Inf: " + rps,
		"-seed -1":         "invalid value",
		"-addr :8099":      "-addr :8099: want an address on loopback with a port, as 127.0.0.1:8099",
		"-addr 0.0.0.0:1":  "want an address on loopback",
		"-addr 10.0.0.1:1": "want an address on loopback",
		"-addr localhost":  "want an address on loopback with a port",
		"40s":              "40s: want nothing but flags",
		"-unknown":         "not defined",
	} {
		t.Run(args, func(t *testing.T) {
			stdout, stderr, code := outage(t.Context(), strings.Fields(args)...)
			require.Equal(t, exitUsage, code)
			require.Contains(t, stderr, want)
			require.Empty(t, stdout)
		})
	}
}

func TestOutage_ExplainsItsFlags(t *testing.T) {
	_, stderr, code := outage(t.Context(), "-h")
	require.Equal(t, exitOK, code)
	for _, want := range []string{"-duration", "-rps", "-seed", "-hold", "-addr", "default 38s", "default 200", "127.0.0.1:8099"} {
		require.Contains(t, stderr, want)
	}
}

func TestPlan_LeavesTheBreakersAtTheirDefaultsUnlessItIsTooShortForKratos(t *testing.T) {
	p, err := parse(nil, io.Discard)
	require.NoError(t, err)
	for _, total := range []time.Duration{standard, maxTotal} {
		p.total = total
		require.Empty(t, p.kratosOptions())
		require.Equal(t, 3*time.Second, p.window(), "as aegis has by default")
		require.EqualValues(t, 100, p.request(), "as aegis has by default")
	}
	p.total = standard / 4
	require.Equal(t, 750*time.Millisecond, p.window())
	require.EqualValues(t, 25, p.request())
	require.Len(t, p.kratosOptions(), 1)
}

func TestClaims_TheRecoveryHasToBeSoonAndSoonerThanThatOfKratos(t *testing.T) {
	const never = 1000 * time.Second // later than the program runs
	l := &load{plan: plan{total: standard, rps: 100}}
	short := &load{plan: plan{total: standard / 2, rps: 100}}
	for _, row := range []struct {
		l           *load
		own, theirs time.Duration
		held        bool
	}{
		{l, time.Second, 10 * time.Second, true},
		{l, time.Second, never, true},
		{l, time.Second, time.Second / 2, false},
		{l, soon + time.Second, never, false},
		{l, never, never, false},
		{short, time.Second, time.Second / 2, true},
		{short, soon + time.Second, never, false},
		{short, never, time.Second, false},
	} {
		row.l.clients = []*client{
			{transport: overHTTP, guard: guard{name: kratos}}, {transport: overHTTP, guard: guard{name: ours}},
		}
		row.l.base.Store(new(time.Time))
		length := row.l.plan.length(healed)
		for i, recovers := range []time.Duration{row.theirs, row.own} {
			for at := time.Duration(0); at < length; at += 10 * time.Millisecond {
				end := rejected
				if at >= recovers {
					end = served
				}
				row.l.clients[i].tally.end(healed, at.Seconds()/length.Seconds(), time.Millisecond, end)
			}
		}
		require.Equal(t, row.held, back(row.l, overHTTP).held, "%+v", row)
	}
}

func TestPlan_FillsTheDurationWithItsPhases(t *testing.T) {
	p := plan{total: standard}
	require.Equal(t, standard, p.begin(partial)+p.length(partial))
	require.Greater(t, p.length(healed), standard/2, "Kratos' breaker needs the time")
	require.Greater(t, p.length(healthy), p.window(), "or they would judge an unfilled window")
}

func TestBackend_SaysSoWhenItsPortWasTaken(t *testing.T) {
	b, err := newBackend()
	require.NoError(t, err)
	defer b.stop()
	require.NoError(t, b.enter(refused))
	squatter, err := net.Listen("tcp", b.nodes[1].grpcAddr)
	require.NoError(t, err)
	defer func() { require.NoError(t, squatter.Close()) }()
	require.ErrorContains(t, b.enter(healed), "the backend cannot listen")
}

func TestLoad_OffersTheSameCallsToEveryClientAndAgainWithTheSameSeed(t *testing.T) {
	l := &load{plan: plan{total: standard, rps: 100}}
	moments := func(seed uint64) (moments []time.Duration) {
		begin := time.Now().Add(time.Hour)
		for at := range l.arrivals(begin, time.Second, jitterOf(seed)) {
			moments = append(moments, at.Sub(begin))
		}
		return moments
	}
	require.InDelta(t, 100, len(moments(1)), 1)
	require.Equal(t, moments(1), moments(1))
	require.NotEqual(t, moments(1), moments(2))
}

func TestLoad_LeavesCallsOutAfterAPauseOfTheMachine(t *testing.T) {
	l := &load{plan: plan{total: standard, rps: 100}}
	n := 0
	for range l.arrivals(time.Now().Add(-time.Minute), 61*time.Second, jitterOf(1)) {
		if n++; n == maxBehind+1 {
			break
		}
	}
	begin := time.Now().Add(-time.Minute)
	for at := range l.arrivals(begin, 61*time.Second, jitterOf(1)) {
		require.Greater(t, at.Sub(begin), time.Minute-time.Second)
		break
	}
	require.Equal(t, maxBehind+1, n)
}

func TestClaims_FailWhenNothingHappened(t *testing.T) {
	b, err := newBackend()
	require.NoError(t, err)
	defer b.stop()
	p := plan{total: standard, rps: 100}
	clients, err := newClients(p, b, dashboard.NewLog(1))
	require.NoError(t, err)
	defer closeAll(clients)
	var out bytes.Buffer
	s := newScreen(&out, &load{plan: p, backend: b, clients: clients})
	require.False(t, s.check(claims(s.load)))
	require.Contains(t, out.String(), "FAILED  all 0 calls")
}

// outage runs the program and returns what it wrote and its exit code.
func outage(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return out.String(), errs.String(), code
}

// trap springs as soon as a text was written to it.
type trap struct {
	bytes.Buffer
	after  string
	spring func()
}

func (t *trap) Write(p []byte) (int, error) {
	n, err := t.Buffer.Write(p)
	if strings.Contains(t.String(), t.after) {
		t.spring()
	}
	return n, err
}
