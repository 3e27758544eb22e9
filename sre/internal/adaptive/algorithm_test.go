package adaptive

import (
	"container/heap"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

func page(t *testing.T) string {
	text, err := os.ReadFile("../../../docs/algorithm.md")
	require.NoError(t, err)
	return string(text)
}

// pageSays returns a function that requires a sentence to be in docs/algorithm.md,
// however it is wrapped.
func pageSays(t *testing.T) func(format string, args ...any) {
	text := strings.Join(strings.Fields(page(t)), " ")
	return func(format string, args ...any) {
		t.Helper()
		require.Contains(t, text, fmt.Sprintf(format, args...))
	}
}

// pageTraffic is Poisson traffic through a law, and a window as a breaker shows it.
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
		law: New(Settings{Accept: 0.6, Enough: 20, Probe: 900 * ms, MaxProbe: 900 * ms, Random: rng.Float64}),
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
	for _, e := range s.ended {
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

// sources returns the files of the package, without those of its tests.
func sources(t *testing.T) (files []*ast.File, text map[*ast.File]string, set *token.FileSet) {
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	text, set = map[*ast.File]string{}, token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		code, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(set, name, code, 0)
		require.NoError(t, err)
		files, text[file] = append(files, file), string(code)
	}
	return files, text, set
}

// lawConstant is a constant of the law.
type lawConstant struct {
	formula string // as the code has it
	value   float64
	chosen  bool // and not derived from other ones
}

// lawConstants returns all of them, by name. Units, phases, and the end of a cohort that has
// none are no constants of the law.
func lawConstants(t *testing.T) map[string]lawConstant {
	files, text, set := sources(t)
	constants := map[string]lawConstant{}
	code := "package p\nconst (\n ms = int64(1e6)\n sec = int64(1e9)\n"
	for _, file := range files {
		for _, d := range file.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				c := spec.(*ast.ValueSpec)
				name := c.Names[0].Name
				if len(c.Values) == 0 || c.Type != nil || slices.Contains([]string{"ms", "sec", "open"}, name) {
					continue
				}
				require.Len(t, c.Names, 1, name)
				formula := text[file][set.Position(c.Values[0].Pos()).Offset:set.Position(c.Values[0].End()).Offset]
				chosen := true
				ast.Inspect(c.Values[0], func(n ast.Node) bool {
					id, ok := n.(*ast.Ident)
					chosen = chosen && (!ok || slices.Contains([]string{"ms", "sec", "float64", "int64"}, id.Name))
					return true
				})
				constants[name] = lawConstant{formula: formula, chosen: chosen}
				code += name + " = " + formula + "\n"
			}
		}
	}
	file, err := parser.ParseFile(set, "constants", code+")", 0)
	require.NoError(t, err)
	checked, err := (&types.Config{}).Check("p", set, []*ast.File{file}, nil)
	require.NoError(t, err)
	for name, c := range constants {
		c.value, _ = constant.Float64Val(constant.ToFloat(checked.Scope().Lookup(name).(*types.Const).Val()))
		constants[name] = c
	}
	return constants
}

// constantRows returns the rows of the table of constants: value, unit and derivation, by name.
func constantRows(t *testing.T) map[string][3]string {
	_, table, ok := strings.Cut(page(t), "| constant | value | unit | derivation |\n|---|---|---|---|\n")
	require.True(t, ok)
	table, _, _ = strings.Cut(table, "\n\n")
	rows := map[string][3]string{}
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		require.Len(t, cells, 4, row)
		rows[strings.Trim(cells[0], "`")] = [3]string(cells[1:])
	}
	return rows
}

func TestAlgorithm_TheTableOfThePageHasEachConstantWithItsValue(t *testing.T) {
	units := map[string]float64{"ms": float64(ms), "s": float64(sec), "calls/s": 1 / float64(sec)}
	constants, rows := lawConstants(t), constantRows(t)
	for name, c := range constants {
		row, ok := rows[name]
		require.True(t, ok, "a constant without a row: %s = %s", name, c.formula)
		value, err := strconv.ParseFloat(row[0], 64)
		require.NoError(t, err, name)
		if unit, ok := units[row[1]]; ok {
			value *= unit
		}
		require.InEpsilon(t, c.value, value, 1e-3, name)
		require.NotEmpty(t, row[2], name)
		require.Equal(t, !c.chosen, strings.HasPrefix(row[2], "`"+c.formula+"`"), "%s = %s", name, c.formula)
	}
	require.Len(t, rows, len(constants), "no row of a constant that is gone")
}

func TestAlgorithm_AtMostTwentyNumbersAreChosen(t *testing.T) {
	chosen := 0
	for _, c := range lawConstants(t) {
		if c.chosen {
			chosen++
		}
	}
	// Numbers in the code count, too, but for 0 and 1.
	numbers := map[string]bool{}
	files, _, _ := sources(t)
	for _, file := range files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && (l.Kind == token.INT || l.Kind == token.FLOAT) {
					numbers[strings.TrimSuffix(l.Value, ".0")] = true
				}
				return true
			})
		}
	}
	delete(numbers, "0")
	delete(numbers, "1")
	require.Equal(t, map[string]bool{"2": true, "3": true, "7": true}, numbers)
	says := pageSays(t)
	says("%d of them are chosen", chosen)
	says("the code has the numbers 2, 3 and 7 in expressions")
	require.LessOrEqual(t, chosen+len(numbers), 20)
}

func TestAlgorithm_ThePageAndThePackageHaveTheSameDiagram(t *testing.T) {
	_, diagram, ok := strings.Cut(page(t), "```\n")
	require.True(t, ok)
	diagram, _, ok = strings.Cut(diagram, "```")
	require.True(t, ok)
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	require.Contains(t, string(doc), "//\t"+strings.ReplaceAll(strings.TrimSuffix(diagram, "\n"), "\n", "\n//\t")+"\n")
}

func TestAlgorithm_TheNumbersOfThePhasesFollowFromTheConstants(t *testing.T) {
	says := pageSays(t)

	says("After %d ms without a word, in which %v calls should", brief/ms, coincidence)
	says("nothing has succeeded for %v usual latencies, and then 3 calls fail", tardy)
	says("The law tries 1 call, and rejects at most %v s of traffic", stallCost/float64(sec))
	says("The first one follows after %d ms. The wait grows by %.0f %% with each", brief/ms, 100*(backoff-1))
	says("Each wait varies by %.0f %% either way. One call of %v is a probe at most, but a quiet client probes every %d s", 100*jitter, share, seldom/sec)
	says("After an outage of %d s the wait grows on", forget/sec)

	says("until %v of them are judged", memory)
	says("With n calls in a cohort, or %d if they are fewer, the first look is 1 + 1/√n times as fast", few)
	says("is %v times as fast as that, up to %v times the pace", gentle, plenty)
	says("the cohorts between two of them double, up to %d, but no look is more than %d s away", few/2, seldom/sec)
	says("If %v of its calls are known, they are the reference of that hold", memory)
	says("With a gain of %v it is a ramp", growth)
	says("goes out at %v times the pace at which", growth)
	says("for %d s such failures are no trouble, unless the success ratio falls to half", pardonFor/sec)
	says("The next pardons double, and each one lasts at least %d times as long as it took to find out, up to %d s", few, few*pardonFor/sec)
	says("in which %d of %d calls went out. Once these cohorts have lasted for %d s", few-1, few, longest/sec)
	require.InDelta(t, float64(few-1)/few, most, 0)
	says("After %d s without a call, or twice the longer one of the two probe intervals", forget/sec)
}

func TestAlgorithm_TheNumbersOfTheMathsFollowFromTheConstants(t *testing.T) {
	says := pageSays(t)

	says("%v nats are one in a million", coincidence)
	require.InDelta(t, 1e-6, math.Exp(-coincidence), 5e-8)
	says("half of that, %v, one in a thousand", doubt)
	require.InDelta(t, 1e-3, math.Exp(-doubt), 5e-5)

	l := New(Settings{})
	l.usual = 1
	shortest := l.round()
	l.usual = float64(sec)
	says("between %d and %d ms, and for %d calls, but %d s at most", shortest/ms, l.round()/ms, few, longest/sec)
	says("In a ramp %d ms and %v calls are enough", shortest/ms, growth)
	says("after %v usual latencies and %d ms at least", tardy, brief/ms)
	require.EqualValues(t, tardy*float64(sec), l.overdue())
	l.usual = 0
	says("If the latency is not known, that is %d s", l.overdue()/sec)

	says("but 2/3 at the most")
	require.InDelta(t, 2.0/3, prior, 0)
	says("a pending call takes ln(s/%v) away", nothing)
	says("Both ratios stay %.0f %% away from 0 and 1, so no call counts more than %.1f nats", 100*uncertain, math.Log((1-uncertain)/uncertain))
	says("Above %.1f nats the hold settles, below -%.1f it rises", sway, sway/plenty)
	says("Below -%v they are a pardon, above %v an overload", doubt, doubt)

	says("each cohort leaves %d/%d of it", few-1, few)
	says("the least one is 1 call in %d s or %.0f %% of the calls", longest/sec, 100*nothing)
	says("keeps its pace if 1/%v of its calls succeed", gentle)
	says("lies %v of the mean time at least", evenly)
	says("Callers that ask for less than half of the pace")
	require.InDelta(t, 2, plenty, 0)
	says("as %v latencies at the highest pace delivered of late, and %d more", tardy, few)
	says("a call is overdue after %d s until a success", longest/sec)
}

func TestAlgorithm_OddsAreWhatTheFormulaOfThePageGives(t *testing.T) {
	says := pageSays(t)
	says("odds = (k·ln(q/p) + (n-k)·ln((1-q)/(1-p))) · n(a) / (n(a) + n)")
	a := tally{n: 100, ok: 50, t: float64(sec)}
	for k := range 21 {
		b := tally{n: 20, ok: float64(k), t: float64(sec) / 2} // 40 calls a second after 100
		p := (50 + prior) / 101
		q := min(p*100/40, 1-uncertain)
		want := (b.ok*math.Log(q/p) + (b.n-b.ok)*math.Log((1-q)/(1-p))) * 100 / 120
		require.InDelta(t, want, odds(a, b), 1e-9)
	}
	require.Positive(t, odds(a, tally{n: 20, ok: 20, t: float64(sec) / 2}), "fewer calls, more of which succeed")
	require.Negative(t, odds(a, tally{n: 20, ok: 10, t: float64(sec) / 2}), "fewer calls, and the same share")
}

func TestAlgorithm_AsManyFailuresAsThePageSaysAreAnOutage(t *testing.T) {
	says := pageSays(t)
	suspects := func(ratio float64) *Law {
		l := New(Settings{Accept: 0.6, Enough: 20, Probe: 900 * ms, MaxProbe: 900 * ms, Random: func() float64 { return 0.5 }})
		l.ratio, l.usual, l.asks = ratio, float64(ms), 10/float64(sec)
		l.become(Suspect, sec, "")
		return l
	}
	failuresUntilDown := func(ratio float64) int {
		l := suspects(ratio)
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
	says("%d failures are the fewest for an outage", failuresUntilDown(1))
	streak := func(ratio uint64) uint64 { return Streak(ledger.Counts{Success: ratio, Failure: 1000 - ratio}) }
	says("begins after %d failures; for 0.5 after %d, for 0.3 after %d", streak(950), streak(500), streak(300))
	says("Nothing may have succeeded for %d ms besides, or the evidence has to be seven times as strong", brief/ms)

	n, l := 0, suspects(0.95)
	for l.Phase() != Down {
		c, _ := l.Ask(sec)
		l.Fail(sec, c, true)
		n++
	}
	require.InDelta(t, math.Ceil(7*coincidence/math.Log(3)), n, 0, "at a frozen time")
}

// The table of what comes of it, and what users of marks miss.

const pageSeeds = 8

func TestAlgorithm_AnOutageIsSeenAndOverAsSoonAsThePageSays(t *testing.T) {
	says := pageSays(t)
	says("| all calls are refused | 10 | the law is down after 3 s |")
	says("| all calls are refused | 100 | the law is down after 0.3 s |")
	says("| an outage of 30 s heals | 10 to 1000 | nothing is rejected 1.2 s later |")
	says("6 or 7 probes go out in the first 3 s")
	within := map[float64]time.Duration{10: 3 * time.Second, 100: 300 * time.Millisecond, 1000: 300 * time.Millisecond}
	for seed := range uint64(pageSeeds) {
		for rate, limit := range within {
			s := newPageTraffic(seed, rate)
			s.run(20*time.Second, nil)
			require.Zero(t, s.rejected)
			s.backend = pageRefused
			require.LessOrEqual(t, s.untilDown(), limit, "%v calls/s, seed %d", rate, seed)
			fell := s.now
			s.clear()
			s.run(30*time.Second, nil)
			if rate >= 100 { // or the share of probes is what bounds them
				early := slices.DeleteFunc(slices.Clone(s.probes), func(at int64) bool { return at > fell+3*sec })
				require.GreaterOrEqual(t, len(early), 6, "%v calls/s, seed %d", rate, seed)
				require.LessOrEqual(t, len(early), 7, "%v calls/s, seed %d", rate, seed)
			}
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
			require.LessOrEqual(t, time.Duration(last-healed), 1200*time.Millisecond, "%v calls/s, seed %d", rate, seed)
			require.Equal(t, Calm, s.law.Phase())
		}
	}
}

// untilDown runs until the law is down, and returns how long that took.
func (s *pageTraffic) untilDown() time.Duration {
	from := s.now
	s.run(time.Minute, func() bool { return s.law.Phase() == Down })
	return time.Duration(s.now - from)
}

func TestAlgorithm_AHangIsSeenAsSoonAsThePageSays(t *testing.T) {
	says := pageSays(t)
	says("| all calls hang for 1 s | 100 | the law is down after 1 s |")
	says("Calls that time out after 1 s are seen after 1.3 s, calls that never end after 5 s; with permits, both after 1 s")
	for seed := range uint64(pageSeeds) {
		for _, timeout := range []time.Duration{time.Second, time.Hour} {
			seen := func(marks bool) time.Duration {
				s := newPageTraffic(seed, 100)
				s.marks = marks
				s.run(20*time.Second, nil)
				s.backend = func(int64) (time.Duration, bool) { return timeout, false }
				return s.untilDown()
			}
			require.LessOrEqual(t, seen(false), time.Second, "seed %d", seed)
			if timeout == time.Second {
				require.LessOrEqual(t, seen(true), 1300*time.Millisecond, "seed %d", seed)
			} else {
				require.LessOrEqual(t, seen(true), 5*time.Second, "seed %d", seed)
				require.Greater(t, seen(true), 4*time.Second, "seed %d", seed)
			}
		}
	}
}

func TestAlgorithm_ABrokenPartLosesAsFewCallsAsThePageSays(t *testing.T) {
	pageSays(t)("| half of the calls are refused, the others take 200 ms as before | 300 | more than 97 %% go out |")
	for seed := range uint64(pageSeeds) {
		s := newPageTraffic(seed, 300)
		s.backend = s.partly(1, 200*time.Millisecond)
		s.run(20*time.Second, nil)
		s.clear()
		s.backend = s.partly(0.5, 200*time.Millisecond)
		s.run(time.Minute, nil)
		require.Greater(t, float64(s.sent), 0.97*float64(s.asked), "seed %d", seed)
	}
}

func TestAlgorithm_AnOverloadedBackendGetsAsMuchAsThePageSays(t *testing.T) {
	says := pageSays(t)
	says("| the backend can do 100/s, and 10 at once | 300 | it gets at most 1.25 times that, and serves 98 %% of what it can |")
	says("serves one call at a time, 10 of 100 calls/s, serves between 65 and 85 %% of what it can")
	held := func(seed uint64, rate, capacity, burst float64) (sent, served float64) {
		s := newPageTraffic(seed, rate)
		s.run(20*time.Second, nil)
		s.backend = pageLimited(capacity, burst)
		s.run(20*time.Second, nil)
		s.clear()
		s.run(time.Minute, nil)
		return float64(s.sent) / 60 / capacity, float64(s.served) / 60 / capacity
	}
	for seed := range uint64(pageSeeds) {
		sent, served := held(seed, 300, 100, 10)
		require.Less(t, sent, 1.25, "seed %d", seed)
		require.Greater(t, served, 0.98, "seed %d", seed)
		_, served = held(seed, 100, 10, 1)
		require.Greater(t, served, 0.65, "seed %d", seed)
		require.Less(t, served, 0.85, "seed %d", seed)
	}
}

func TestAlgorithm_APauseOfTheProcessCostsAsLittleAsThePageSays(t *testing.T) {
	pageSays(t)("| the own process stands still for 2 s | 1000 | at most 40 calls are rejected |")
	for seed := range uint64(pageSeeds) {
		s := newPageTraffic(seed, 1000)
		s.run(20*time.Second, nil)
		s.clear()
		s.now += 2 * sec
		s.breakAll()
		s.run(5*time.Second, nil)
		require.Positive(t, s.failed, "seed %d", seed)
		require.LessOrEqual(t, s.rejected, 40, "seed %d", seed)
		require.Equal(t, Calm, s.law.Phase())
	}
}

// breakAll makes all calls in flight fail now.
func (s *pageTraffic) breakAll() {
	for i := range s.pending {
		s.pending[i].ok, s.pending[i].end = false, s.now
	}
}

func TestAlgorithm_ABrokenConnectionCostsAsLittleAsThePageSays(t *testing.T) {
	says := pageSays(t)
	says("| a connection breaks with all calls in flight, which take 1 s | 1000 | nothing is rejected |")
	says("When a connection breaks with 1 s of calls in flight at 1000 calls/s, up to 6 s of traffic is rejected; with permits, none")
	for seed := range uint64(pageSeeds) {
		for _, marks := range []bool{false, true} {
			s := newPageTraffic(seed, 1000)
			s.marks = marks
			s.backend = s.partly(1, time.Second)
			s.run(20*time.Second, nil)
			s.clear()
			s.breakAll()
			s.run(10*time.Second, nil)
			if marks {
				require.LessOrEqual(t, s.rejected, 6000, "seed %d", seed)
				require.Greater(t, s.rejected, 4000, "seed %d", seed)
			} else {
				require.Zero(t, s.rejected, "seed %d", seed)
			}
		}
	}
}

func TestAlgorithm_WithoutPermitsAnOutageOfLongCallsIsSeenLater(t *testing.T) {
	pageSays(t)("**Successes of old calls** end a suspicion, so an outage of a backend with long calls is seen later.")
	sum := map[bool]time.Duration{}
	for seed := range uint64(2 * pageSeeds) {
		for _, marks := range []bool{false, true} {
			s := newPageTraffic(seed, 20)
			s.marks = marks
			s.backend = s.partly(1, 5*time.Second)
			s.run(30*time.Second, nil)
			s.backend = pageRefused
			sum[marks] += s.untilDown()
		}
	}
	require.Greater(t, sum[true], sum[false]*3/2)
}

// The frontiers.

func TestAlgorithm_APartialReturnIsSeenAsLateAsThePageSays(t *testing.T) {
	says := pageSays(t)
	says("at most 2 probes a second on average, fewer as time goes on")
	says("are 0.9 s / 0.4 = %v s apart on average, and one of 20 returns is seen after 5 s or later", 0.9/0.4)
	const returns = 300
	late := 0
	var sum time.Duration
	for seed := range uint64(returns) {
		s := newPageTraffic(seed, 100)
		s.run(10*time.Second, nil)
		s.backend = pageRefused
		s.run(20*time.Second, nil)
		s.backend = s.partly(0.4, 20*time.Millisecond)
		from := s.now
		s.run(time.Minute, func() bool { return s.law.Phase() != Down })
		took := time.Duration(s.now - from)
		if sum += took; took >= 5*time.Second {
			late++
		}
	}
	require.Less(t, sum/returns, 2250*time.Millisecond)
	require.Greater(t, sum/returns, time.Second)
	require.InDelta(t, returns/20, late, returns/30)
}

func TestAlgorithm_AQuietClientShedsNothingOfAnOverloadedReturn(t *testing.T) {
	pageSays(t)("A client with few calls, 2 per second, sheds nothing of such a return")
	for seed := range uint64(pageSeeds) {
		s := newPageTraffic(seed, 2)
		s.run(time.Minute, nil)
		s.backend = pageRefused
		s.run(time.Minute, nil)
		s.backend = s.partly(0.4, 20*time.Millisecond)
		s.run(time.Minute, func() bool { return s.law.Phase() == Paced })
		s.run(5*time.Second, nil)
		s.clear()
		s.run(time.Minute, nil)
		require.Zero(t, s.rejected, "seed %d", seed)
	}
}

// pageFleet lets clients call at the same backend for so long.
func pageFleet(clients []*pageTraffic, d time.Duration, backend func(int64) (time.Duration, bool)) (sent int) {
	for _, s := range clients {
		s.backend = backend
		s.clear()
	}
	const step = 2 * time.Millisecond
	for range d / step {
		for _, s := range clients {
			s.run(step, nil)
		}
	}
	for _, s := range clients {
		sent += s.sent
	}
	return sent
}

func TestAlgorithm_AFleetSendsAsMuchToAnOverloadedReturnAsThePageSays(t *testing.T) {
	pageSays(t)("a fleet of 100 clients of 20 calls/s sends about 2.2 times what the backend can do in the first 5 s")
	for seed := range uint64(3) {
		var clients []*pageTraffic
		for i := range uint64(100) {
			clients = append(clients, newPageTraffic(1000*seed+i, 20))
		}
		pageFleet(clients, 10*time.Second, pageHealthy)
		pageFleet(clients, 30*time.Second, pageRefused)
		const capacity = 0.3 * 100 * 20
		sent := pageFleet(clients, 5*time.Second, pageLimited(capacity, capacity/10))
		require.InDelta(t, 2.2, float64(sent)/5/capacity, 0.2, "seed %d", seed)
	}
}

func TestAlgorithm_AClientLosesAsLittleOfAReturnInPartAsThePageSays(t *testing.T) {
	pageSays(t)("once a probe has succeeded, it gets more than 90 %% of the good calls")
	for seed := range uint64(2 * pageSeeds) {
		s := newPageTraffic(seed, 300)
		s.run(20*time.Second, nil)
		s.backend = pageRefused
		s.run(30*time.Second, nil)
		s.backend = s.partly(0.5, 20*time.Millisecond)
		s.run(time.Minute, func() bool { return s.law.Phase() == Paced })
		s.clear()
		s.run(15*time.Second, nil)
		require.Greater(t, float64(s.served), 0.9*0.5*float64(s.asked), "seed %d", seed)
	}
}
