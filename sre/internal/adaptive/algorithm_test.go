package adaptive

import (
	"container/heap"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// pageSays returns a function that requires a sentence to be in docs/algorithm.md,
// however it is wrapped.
func pageSays(t *testing.T) func(format string, args ...any) {
	page, err := os.ReadFile("../../../docs/algorithm.md")
	require.NoError(t, err)
	text := strings.Join(strings.Fields(string(page)), " ")
	return func(format string, args ...any) {
		t.Helper()
		require.Contains(t, text, fmt.Sprintf(format, args...))
	}
}

// traffic is Poisson traffic through a law, and a window as a breaker shows it.
type pageTraffic struct {
	law     *Law
	rng     *rand.Rand
	now     int64
	rate    float64 // calls per second
	backend func(now int64) (took time.Duration, ok bool)

	pending pageCalls
	ended   []pageEnding
	bucket  int64
	row     uint64
	latency float64
	marks   bool // instead of permits

	asked, sent, served, failed, rejected int
	probes                                []int64
}

type pageCall struct {
	end   int64
	began int64
	ok    bool
	stamp *Cohort
}

type pageCalls []pageCall

func (c pageCalls) Len() int           { return len(c) }
func (c pageCalls) Less(i, j int) bool { return c[i].end < c[j].end }
func (c pageCalls) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *pageCalls) Push(x any)        { *c = append(*c, x.(pageCall)) }
func (c *pageCalls) Pop() (last any) {
	old := *c
	last = old[len(old)-1]
	*c = old[:len(old)-1]
	return last
}

type pageEnding struct {
	at int64
	n  ledger.Counts
}

const pageBucket = 300 * ms

func newPageTraffic(seed uint64, rate float64) *pageTraffic {
	rng := rand.New(rand.NewPCG(seed, 1))
	return &pageTraffic{
		rng: rng, rate: rate, backend: pageHealthy, now: sec,
		law: New(Settings{Accept: 0.6, Enough: 20, Probe: 900 * ms, Window: 3 * sec, Random: rng.Float64}),
	}
}

func pageHealthy(int64) (time.Duration, bool) { return 20 * time.Millisecond, true }
func pageRefused(int64) (time.Duration, bool) { return 2 * time.Millisecond, false }

// pageLimited returns a backend that serves so many calls per second, and so many at once.
func pageLimited(capacity, burst float64) func(int64) (time.Duration, bool) {
	tokens, last := burst, int64(0)
	return func(now int64) (time.Duration, bool) {
		tokens, last = min(burst, tokens+capacity*float64(now-last)/float64(sec)), now
		if tokens < 1 {
			return 2 * time.Millisecond, false
		}
		tokens--
		return 20 * time.Millisecond, true
	}
}

// partly returns a backend of which a share of the calls succeeds, after so long.
func (s *pageTraffic) partly(share float64, took time.Duration) func(int64) (time.Duration, bool) {
	return func(now int64) (time.Duration, bool) {
		if s.rng.Float64() < share {
			return took, true
		}
		return 2 * time.Millisecond, false
	}
}

// run lets calls come for so long, or until stop says so.
func (s *pageTraffic) run(d time.Duration, stop func() bool) {
	end := s.now + int64(d)
	next := s.now
	for next += s.gap(); next < end && (stop == nil || !stop()); next += s.gap() {
		s.endUntil(next)
		s.at(next)
		s.ask()
	}
	if stop == nil {
		s.endUntil(end)
		s.at(end)
	}
}

func (s *pageTraffic) gap() int64 { return 1 + int64(s.rng.ExpFloat64()*float64(sec)/s.rate) }

func (s *pageTraffic) clear() {
	s.asked, s.sent, s.served, s.failed, s.rejected, s.probes = 0, 0, 0, 0, 0, nil
}

func (s *pageTraffic) at(now int64) {
	s.now = now
	if now >= s.bucket+pageBucket {
		s.bucket = now / pageBucket * pageBucket
		s.law.Look(now, s.seen())
	}
}

func (s *pageTraffic) ask() {
	s.asked++
	c := pageCall{began: s.now}
	if s.law.Phase() != Calm {
		stamp, allowed := s.law.Ask(s.now)
		if !allowed {
			s.rejected++
			s.ended = append(s.ended, pageEnding{s.now, ledger.Counts{Rejected: 1}})
			return
		}
		if s.law.Phase() == Down {
			s.probes = append(s.probes, s.now)
		}
		if !s.marks {
			c.stamp = stamp
		}
	}
	s.sent++
	took, ok := s.backend(s.now)
	c.end, c.ok = s.now+int64(took), ok
	heap.Push(&s.pending, c)
}

func (s *pageTraffic) endUntil(now int64) {
	for len(s.pending) > 0 && s.pending[0].end <= now {
		c := heap.Pop(&s.pending).(pageCall)
		s.at(c.end)
		if c.ok {
			s.succeed(c)
		} else {
			s.fail(c)
		}
	}
}

func (s *pageTraffic) succeed(c pageCall) {
	s.served++
	s.row = 0
	s.ended = append(s.ended, pageEnding{s.now, ledger.Counts{Success: 1}})
	if s.law.Phase() != Calm {
		s.law.Succeed(s.now, c.stamp, !s.marks)
		return
	}
	if s.marks {
		return
	}
	took := float64(s.now - c.began)
	if s.latency == 0 {
		s.latency = took
	}
	s.latency += (took - s.latency) / 8
}

func (s *pageTraffic) fail(c pageCall) {
	s.failed++
	s.row++
	s.ended = append(s.ended, pageEnding{s.now, ledger.Counts{Failure: 1}})
	switch {
	case s.law.Phase() != Calm:
		s.law.Fail(s.now, c.stamp, !s.marks)
	case s.row >= 3:
		if seen := s.seen(); s.row >= Streak(seen.Before) {
			s.law.Alarm(s.now, seen, "failures in a row")
		}
	}
}

// seen sums up the buckets.
func (s *pageTraffic) seen() Seen {
	for len(s.ended) > 0 && s.ended[0].at < s.bucket-9*pageBucket {
		s.ended = s.ended[1:]
	}
	seen := Seen{Flight: uint64(len(s.pending)), Latency: s.latency}
	from := max(s.bucket-9*pageBucket, (s.law.Since()+pageBucket-1)/pageBucket*pageBucket)
	silent := from
	for _, e := range s.ended {
		if e.at >= from && e.n.Success > 0 {
			silent = (e.at/pageBucket + 1) * pageBucket
		}
	}
	silent = min(silent, s.now)
	last := s.now/pageBucket*pageBucket - 2*pageBucket
	seen.LastFor = s.now - last
	for _, e := range s.ended {
		if e.at >= last {
			seen.Last = pageSum(seen.Last, e.n)
		}
		if e.at >= from {
			seen.Window = pageSum(seen.Window, e.n)
		}
		if e.at >= from && e.at < silent {
			seen.Before = pageSum(seen.Before, e.n)
		}
	}
	seen.BeforeFor = max(0, silent-from)
	if seen.Before.Success > 0 && s.now-silent >= pageBucket {
		seen.Silence = s.now - silent
	}
	return seen
}

func pageSum(a, b ledger.Counts) ledger.Counts {
	return ledger.Counts{Success: a.Success + b.Success, Failure: a.Failure + b.Failure, Rejected: a.Rejected + b.Rejected}
}

func TestAlgorithm_EachConstantIsInTheTableOfThePage(t *testing.T) {
	says := pageSays(t)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	tidy := strings.NewReplacer("1 / float64(sec)", "1/s", " * float64(sec)", " s", " * ms", " ms", " * sec", " s", " / ", "/")
	whole := regexp.MustCompile(`\.0\b`)
	rows := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, 0)
		require.NoError(t, err)
		for _, d := range file.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST || !group.Lparen.IsValid() {
				continue
			}
			for _, spec := range group.Specs {
				c := spec.(*ast.ValueSpec)
				if len(c.Values) == 0 || c.Type != nil || c.Names[0].Name == "ms" || c.Names[0].Name == "sec" {
					continue // units, and the phases
				}
				value := string(text[set.Position(c.Values[0].Pos()).Offset:set.Position(c.Values[0].End()).Offset])
				says("| `%s` | %s |", c.Names[0].Name, whole.ReplaceAllString(tidy.Replace(value), ""))
				rows++
			}
		}
	}
	page, err := os.ReadFile("../../../docs/algorithm.md")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(page), "| constant | value |")
	require.True(t, ok)
	table, _, _ = strings.Cut(table, "\n\n")
	require.Equal(t, rows, strings.Count(table, "\n| `"), "no row of a constant that is gone")
}

func TestAlgorithm_TheNumbersInTheProseOfThePageFollowFromTheConstants(t *testing.T) {
	says := pageSays(t)

	says("first probe follows after %d ms, the wait then grows by a half each time", brief/ms)
	require.InDelta(t, 1.5, backoff, 0)
	says("all but the first vary by %.0f %%", 100*jitter)
	says("probes with one call of %v, but every %d s at least", share, seldom/sec)
	says("so %v calls are tried, and at most %v s of traffic is rejected", stallTries, stallCost/float64(sec))
	require.InDelta(t, 0.25, contrast, 0)
	says("for %d s such failures are no trouble", pardonFor/sec)
	says("The next pardons double, up to %d s", few*pardonFor/sec)
	says("if nothing is clear after %d s, or if of %.0f calls of the full turns more than %.0f %% succeed", pardonFor/sec, 2*few/contrast, 100*(1+0.6)/2)
	says("each cohort goes out at %v times the pace", growth)
	says("with a look at %v times of that", gentle)
	says("up to %d cohorts lie between two", rarely)
	says("when nothing was rejected for %d s. After %d s without a call", quiet/sec, forget/sec)

	says("%v nats are one in a million", coincidence)
	require.InDelta(t, 1e-6, math.Exp(-coincidence), 5e-8)
	require.InDelta(t, 1e-3, math.Exp(-doubt), 5e-5)
	require.InDelta(t, 2.0/3, prior, 0)
	says("a pending call takes ln(s/%v) away", nothing)
	says("after %v usual latencies and %d ms at least", tardy, patience/ms)
	says("Each ratio stays %.0f %% away from 0 and 1, so no call counts more than %.1f nats", 100*uncertain, math.Log((1-uncertain)/uncertain))
	says("%.1f nats end a trial, %v move a pace", clear, sway)
	says("the pace is %v of that", drain)
	says("as %v latencies at the highest pace delivered of late, and %d more", tardy, few)
	says("a call is overdue after %d s, until", longest/sec)
}

func TestAlgorithm_AsManyFailuresAsThePageSaysAreAnOutage(t *testing.T) {
	says := pageSays(t)
	failuresUntilDown := func(ratio float64) int {
		l := New(Settings{Accept: 0.6, Enough: 20, Probe: 900 * ms, Window: 3 * sec, Random: func() float64 { return 0.5 }})
		l.ratio, l.usual, l.rate, l.asks = ratio, float64(ms), 10/float64(sec), 10/float64(sec)
		l.become(Suspect, sec, "")
		for n := 1; ; n++ {
			now := sec + int64(n)*50*ms
			c, allowed := l.Ask(now)
			require.True(t, allowed)
			l.Fail(now+ms, c, true)
			if l.Phase() == Down {
				return n
			}
		}
	}
	says("For s = 2/3 and more it takes %d failures, for 0.5 it takes %d, for 0.3 it takes %d",
		failuresUntilDown(0.95), failuresUntilDown(0.5), failuresUntilDown(0.3))
	streak := func(ratio uint64) uint64 { return Streak(ledger.Counts{Success: ratio, Failure: 1000 - ratio}) }
	says("begins after %d failures; for 0.5 after %d, for 0.3 after %d", streak(950), streak(500), streak(300))
	says("Nothing may have succeeded for %d ms besides, or the evidence has to be seven times as strong", brief/ms)

	atOnce := func() (n float64) {
		l := New(Settings{Accept: 0.6, Enough: 20, Probe: 900 * ms, Window: 3 * sec, Random: func() float64 { return 0.5 }})
		l.ratio, l.usual = 0.95, float64(ms)
		l.become(Suspect, sec, "")
		for l.Phase() != Down {
			c, _ := l.Ask(sec)
			l.Fail(sec, c, true)
			n++
		}
		return n
	}
	require.InDelta(t, math.Ceil(7*coincidence/math.Log(3)), atOnce(), 0)
}

// The table of what comes of it.

func TestAlgorithm_AnOutageIsSeenAndOverAsSoonAsThePageSays(t *testing.T) {
	says := pageSays(t)
	says("| all calls are refused | 10 | the law is down after 3 s |")
	says("| all calls are refused | 100 | the law is down after 0.3 s |")
	says("| an outage of 30 s heals | 10 to 1000 | nothing is rejected 1.5 s later |")
	within := map[float64]time.Duration{10: 3 * time.Second, 100: 300 * time.Millisecond, 1000: 300 * time.Millisecond}
	for seed := range uint64(8) {
		for rate, limit := range within {
			s := newPageTraffic(seed, rate)
			s.run(20*time.Second, nil)
			require.Zero(t, s.rejected)
			s.backend = pageRefused
			broke := s.now
			s.run(30*time.Second, func() bool { return s.law.Phase() == Down })
			require.LessOrEqual(t, time.Duration(s.now-broke), limit, "%v calls/s, seed %d", rate, seed)
			s.run(30*time.Second, nil)
			s.backend = pageHealthy
			healed, last := s.now, s.now
			s.clear()
			rejected := 0
			s.run(10*time.Second, func() bool {
				if s.rejected > rejected {
					rejected, last = s.rejected, s.now
				}
				return false
			})
			require.LessOrEqual(t, time.Duration(last-healed), 1500*time.Millisecond, "%v calls/s, seed %d", rate, seed)
			require.Equal(t, Calm, s.law.Phase())
		}
	}
}

func TestAlgorithm_AHangIsSeenAsSoonAsThePageSays(t *testing.T) {
	pageSays(t)("| all calls hang for 1 s | 100 | the law is down after 1.5 s |")
	for seed := range uint64(8) {
		s := newPageTraffic(seed, 100)
		s.run(20*time.Second, nil)
		s.backend = func(int64) (time.Duration, bool) { return time.Second, false }
		broke := s.now
		s.run(10*time.Second, func() bool { return s.law.Phase() == Down })
		require.LessOrEqual(t, time.Duration(s.now-broke), 1500*time.Millisecond, "seed %d", seed)
	}
}

func TestAlgorithm_WithoutPermitsAHangIsSeenAsLateAsThePageSays(t *testing.T) {
	pageSays(t)("A hang is seen when calls time out, or after about 5 s")
	for seed := range uint64(8) {
		for _, timeout := range []time.Duration{time.Second, 30 * time.Second} {
			s := newPageTraffic(seed, 100)
			s.marks = true
			s.run(20*time.Second, nil)
			require.Zero(t, s.law.usual)
			s.backend = func(int64) (time.Duration, bool) { return timeout, false }
			broke := s.now
			s.run(20*time.Second, func() bool { return s.law.Phase() == Down })
			took := time.Duration(s.now - broke)
			if timeout == time.Second {
				require.Less(t, took, 2*time.Second, "seed %d", seed)
			} else {
				require.Greater(t, took, 4*time.Second, "seed %d", seed)
				require.Less(t, took, 5500*time.Millisecond, "seed %d", seed)
			}
		}
	}
}

func TestAlgorithm_ABrokenPartLosesAsFewCallsAsThePageSays(t *testing.T) {
	pageSays(t)("| half of the calls are refused, the others take 200 ms | 300 | more than 85 %% go out |")
	for seed := range uint64(8) {
		s := newPageTraffic(seed, 300)
		s.run(20*time.Second, nil)
		s.clear()
		s.backend = s.partly(0.5, 200*time.Millisecond)
		s.run(time.Minute, nil)
		require.Greater(t, float64(s.sent), 0.85*float64(s.asked), "seed %d", seed)
	}
}

func TestAlgorithm_AnOverloadedBackendGetsAsMuchAsThePageSays(t *testing.T) {
	says := pageSays(t)
	says("| the backend can do 100/s, and 10 at once | 300 | it gets at most 1.35 times that, and serves 95 %% of what it can |")
	says("serves one call at a time, 10 of 100 calls/s, serves between 60 and 95 %% of what it can")
	held := func(seed uint64, rate, capacity, burst float64) (sent, served float64) {
		s := newPageTraffic(seed, rate)
		s.run(20*time.Second, nil)
		s.backend = pageLimited(capacity, burst)
		s.run(20*time.Second, nil)
		s.clear()
		s.run(time.Minute, nil)
		return float64(s.sent) / 60 / capacity, float64(s.served) / 60 / capacity
	}
	mean := 0.0
	for seed := range uint64(8) {
		sent, served := held(seed, 300, 100, 10)
		require.Less(t, sent, 1.35, "seed %d", seed)
		require.Greater(t, served, 0.95, "seed %d", seed)
		_, served = held(seed, 100, 10, 1)
		mean += served / 8
	}
	require.Greater(t, mean, 0.6)
	require.Less(t, mean, 0.95)
}

func TestAlgorithm_APauseOfTheProcessCostsAsLittleAsThePageSays(t *testing.T) {
	pageSays(t)("| the own process stands still for 2 s | 1000 | at most 100 calls are rejected |")
	for seed := range uint64(8) {
		s := newPageTraffic(seed, 1000)
		s.run(20*time.Second, nil)
		s.clear()
		s.now += 2 * sec
		for i := range s.pending {
			s.pending[i].ok, s.pending[i].end = false, s.now
		}
		s.run(5*time.Second, nil)
		require.Positive(t, s.failed, "seed %d", seed)
		require.LessOrEqual(t, s.rejected, 100, "seed %d", seed)
		require.Equal(t, Calm, s.law.Phase())
	}
}
