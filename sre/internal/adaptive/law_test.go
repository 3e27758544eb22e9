package adaptive

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the tests begin: late, so that nothing is 0 by chance.
const start = 100 * sec

// second is a float, to turn paces per ns into paces per second.
const second = float64(sec)

// The random numbers of the tests.
func lowest() float64  { return 0 }
func middle() float64  { return 0.5 }
func highest() float64 { return math.Nextafter(1, 0) }

// newLaw returns a law with the defaults of the breaker.
func newLaw(change ...func(*Settings)) *Law {
	s := Settings{Accept: 0.6, Enough: 20, Probe: 900 * ms, MaxProbe: 900 * ms, Random: middle}
	for _, f := range change {
		f(&s)
	}
	return New(s)
}

// healthy is a window of calls that all succeed, so many per second, in 10 ms.
func healthy(rate uint64) Seen {
	c := ledger.Counts{Success: 3 * rate}
	return Seen{Window: c, Before: c, BeforeFor: 3 * sec, Latency: float64(10 * ms)}
}

// mixed is a window in which so many calls succeed and fail.
func mixed(success, failure uint64) Seen {
	s := healthy(100)
	s.Window = ledger.Counts{Success: success, Failure: failure}
	s.Before = s.Window
	return s
}

// suspecting returns a law that suspects since start what served 100 calls a second.
func suspecting(change ...func(*Settings)) *Law {
	l := newLaw(change...)
	l.Alarm(start, healthy(100), "3 failures in a row")
	return l
}

// fell returns a law of an outage that began at start, with so many calls a second
// before.
func fell(rate uint64, change ...func(*Settings)) *Law {
	l := newLaw(change...)
	l.Alarm(start, healthy(rate), "3 failures in a row")
	l.fall(start, "put down")
	return l
}

// ask asks for a call that must be allowed.
func ask(t require.TestingT, l *Law, now int64) *Cohort {
	c, allowed := l.Ask(now)
	require.True(t, allowed)
	require.NotNil(t, c)
	return c
}

// phases puts a law that suspects into each phase of trouble.
var phases = map[string]func(*Law){
	"suspect": func(*Law) {},
	"down":    func(l *Law) { l.fall(start, "put down") },
	"try":     func(l *Law) { l.try(start, "too many failed") },
	"ramp":    func(l *Law) { l.recover(start) },
}

func TestNew_ALawIsCalmAndStampsNothing(t *testing.T) {
	l := newLaw()
	c, allowed := l.Ask(start)
	require.True(t, allowed)
	require.Nil(t, c)
	require.Equal(t, start, l.Heard())
	require.Zero(t, l.RejectRatio())
	require.Zero(t, l.NotBefore())
	require.Zero(t, l.NextProbe())
	for _, end := range []func(){
		func() { l.Succeed(start, nil, true) },
		func() { l.Succeed(start, nil, false) },
		func() { l.Fail(start, nil, true) },
		func() { l.Fail(start, nil, false) },
		func() { l.Ignore(start, nil, false, true) },
		func() { l.Answer(start, nil) },
		func() { l.Rejected(100) },
	} {
		end()
		require.Equal(t, Calm, l.Phase())
	}
}

func TestForget_AMinuteWithoutACallIsTheEndOfAnyPhase(t *testing.T) {
	for name, p := range phases {
		t.Run(name, func(t *testing.T) {
			l := suspecting()
			p(l)
			was := l.Phase()
			require.NotEqual(t, Calm, was)
			require.Equal(t, was, l.PhaseAt(start+60*sec))
			require.Equal(t, Calm, l.PhaseAt(start+60*sec+1))
			require.Equal(t, was, l.Phase(), "looking changes nothing")
			c, allowed := l.Ask(start + 60*sec + 1)
			require.True(t, allowed)
			require.Nil(t, c)
			require.Equal(t, Calm, l.Phase())
			require.Equal(t, "no call for a minute", l.Cause())
		})
	}
}

func TestForget_AnyWordOfACallIsTheEndOfWhatIsTooOld(t *testing.T) {
	for name, f := range map[string]func(l *Law, now int64, c *Cohort){
		"ask":     func(l *Law, now int64, _ *Cohort) { l.Ask(now) },
		"succeed": func(l *Law, now int64, c *Cohort) { l.Succeed(now, c, true) },
		"fail":    func(l *Law, now int64, c *Cohort) { l.Fail(now, c, true) },
		"ignore":  func(l *Law, now int64, c *Cohort) { l.Ignore(now, c, true, true) },
		"answer":  func(l *Law, now int64, c *Cohort) { l.Answer(now, c) },
		"look":    func(l *Law, now int64, _ *Cohort) { l.Look(now, healthy(100)) },
	} {
		l := fell(100)
		c := ask(t, l, start+140*ms)
		f(l, start+140*ms+60*sec+1, c)
		require.Equal(t, Calm, l.Phase(), name)
		require.Equal(t, start+140*ms+60*sec+1, l.Heard(), name)
	}
}

func TestForget_ALongIntervalIsRememberedTwice(t *testing.T) {
	for _, c := range []struct{ probe, most, want int64 }{
		{900 * ms, 900 * ms, 60 * sec},
		{30 * sec, 30 * sec, 60 * sec},
		{50 * sec, 1, 100 * sec},
		{1, 40 * sec, 80 * sec},
	} {
		l := fell(100, func(s *Settings) { s.Probe, s.MaxProbe = c.probe, c.most })
		require.Equal(t, c.want, l.Forgets())
		require.Equal(t, Down, l.PhaseAt(start+c.want))
		require.Equal(t, Calm, l.PhaseAt(start+c.want+1))
	}
}

func TestTune_AShorterIntervalDoesNotWaitForALongerOne(t *testing.T) {
	l := fell(100, func(s *Settings) { s.Probe, s.MaxProbe = 50*sec, 50*sec })
	now := l.NextProbe()
	ask(t, l, now)
	require.Equal(t, now+50*sec, l.NextProbe())
	s := l.Settings
	s.Probe, s.MaxProbe = sec, sec
	l.Tune(now, s, false)
	require.Equal(t, now+sec, l.NextProbe())
	s.Probe = 50 * sec
	l.Tune(now, s, false)
	require.Equal(t, now+sec, l.NextProbe(), "what was planned stays")
	require.Equal(t, 50*sec, l.Probe)
	require.Equal(t, start, l.Since())
	l.Tune(now, s, true)
	require.Equal(t, now, l.Since(), "the window was emptied")
}

func TestTune_PlansNoProbeUnlessTheBackendIsDown(t *testing.T) {
	l := suspecting()
	l.Tune(start+ms, l.Settings, false)
	require.Zero(t, l.NextProbe())
	require.Zero(t, l.down)
}

func TestSince_TheWindowTellsNothingOfBeforeAnOutageOrAPace(t *testing.T) {
	l := suspecting()
	require.Zero(t, l.Since(), "a suspicion changes nothing for callers")
	l.Succeed(start+ms, ask(t, l, start), true)
	require.Equal(t, Calm, l.Phase())
	require.Zero(t, l.Since())
	for name, p := range phases {
		l := suspecting()
		p(l)
		if name == "suspect" {
			continue
		}
		require.Equal(t, start, l.Since(), name)
		l.become(Suspect, start+ms, "put into a suspicion")
		require.Equal(t, start+ms, l.Since(), name)
		l.become(Calm, start+2*ms, "calm")
		require.Equal(t, start+ms, l.Since(), name)
	}
}

func TestRejectRatio_TellsWhatCallersMeet(t *testing.T) {
	require.Zero(t, suspecting().RejectRatio())
	require.EqualValues(t, 1, fell(100).RejectRatio())
	l := suspecting()
	l.suspect.spare = 1
	require.EqualValues(t, 1, l.RejectRatio(), "in a stall")
	l.suspect.spare = math.Nextafter(1, 0)
	require.Zero(t, l.RejectRatio())
	l.try(start, "too many failed")
	require.InDelta(t, 0.03, l.RejectRatio(), 1e-12, "it is open as long as it may reject")
	l.paced.level = 40 / second
	require.InDelta(t, 0.6, l.RejectRatio(), 1e-9)
	l.paced.gain, l.current().high = 2, true
	require.InDelta(t, 0.6, l.RejectRatio(), 1e-9, "a look is no pace that lasts")
	l.paced.gain, l.paced.level = growth, 20/second
	require.InDelta(t, 0.4, l.RejectRatio(), 1e-9, "the pace of a ramp is the higher one")
	l.paced.level = 33 / second
	require.InDelta(t, 0.03, l.RejectRatio(), 1e-9)
	l.asks = 0
	require.InDelta(t, 0.03, l.RejectRatio(), 1e-9, "nobody knows")
}

func TestNotBefore_IsWhenTheNextCallMayGoOut(t *testing.T) {
	require.Zero(t, suspecting().NotBefore())
	l := fell(100)
	require.Equal(t, start+140*ms, l.NotBefore())
	require.Equal(t, start+140*ms, l.NextProbe())
	l.recover(start + 200*ms)
	require.Equal(t, start+200*ms, l.NotBefore())
	require.Zero(t, l.NextProbe())
	ask(t, l, start+200*ms)
	require.Greater(t, l.NotBefore(), start+200*ms)
	_, allowed := l.Ask(l.NotBefore() - 1)
	require.False(t, allowed)
	ask(t, l, l.NotBefore())
}

func TestRejected_CallsThatNobodyAskedAboutCount(t *testing.T) {
	for name, p := range phases {
		l := suspecting()
		p(l)
		l.Ask(start)
		l.Rejected(9)
		require.EqualValues(t, 10, l.current().asked, name)
	}
}

func TestAnswer_AStreamThatGoesOnIsNotPendingAndEndsOnce(t *testing.T) {
	l := suspecting()
	l.recover(start)
	c := ask(t, l, start)
	l.barren = 5
	l.Answer(start+ms, c)
	require.Zero(t, c.pending())
	require.Zero(t, l.barren)
	require.Equal(t, start+ms, l.alive)
	for name, end := range map[string]func(){
		"success": func() { l.Succeed(start+2*ms, c, true) },
		"failure": func() { l.Fail(start+2*ms, c, true) },
		"ignored": func() { l.Ignore(start+2*ms, c, true, true) },
	} {
		was := *c
		end()
		require.Zero(t, c.pending(), name)
		require.Zero(t, l.flight(), name)
		*c = was
	}
	l.Answer(start+3*ms, nil) // of a call that began when all was well
	require.Equal(t, Paced, l.Phase())
}

func TestAnswer_EndsASuspicionAndAnOutageAsASuccessDoes(t *testing.T) {
	l := suspecting()
	l.Answer(start+ms, ask(t, l, start))
	require.Equal(t, Calm, l.Phase())
	l = fell(100)
	l.Answer(start+150*ms, ask(t, l, start+140*ms))
	require.Equal(t, Paced, l.Phase())
	require.EqualValues(t, 10*ms, l.usual)
}

func TestIgnore_ACallThatWasSentAndIsOverdueFailed(t *testing.T) {
	l := suspecting()
	c, d := ask(t, l, start), ask(t, l, start+20*ms)
	require.NotSame(t, c, d)
	l.Ask(start + 100*ms)
	l.Ignore(start+160*ms, c, true, true)
	require.Zero(t, c.failed, "20 ms and overdue after 140 ms")
	require.Zero(t, c.sent)
	require.Zero(t, c.asked)
	c.sent, c.asked = 1, 1
	l.Ignore(start+160*ms+1, c, true, true)
	require.EqualValues(t, 1, c.failed)
	require.EqualValues(t, 1, c.sent)
	c.failed = 0
	l.Ignore(start+300*ms, c, true, false)
	require.Zero(t, c.failed, "it was not sent")
	require.Zero(t, c.sent)
	require.Equal(t, Suspect, l.Phase())
}

func TestIgnore_AnOverdueCallMayBeTheProofOfAnOutage(t *testing.T) {
	l := suspecting()
	l.recover(start)
	l.barren = 12
	c := ask(t, l, start)
	l.begin(start + ms)
	l.begin(start + 2*ms)
	l.Ignore(start+141*ms, c, true, true)
	require.Equal(t, Paced, l.Phase())
	c.sent, c.asked = 1, 1
	l.cohorts = append([]*Cohort{c}, l.cohorts...)
	l.usual = float64(70 * ms) // so that it is overdue while its cohort may still have calls
	l.Ignore(start+281*ms+1, c, true, true)
	require.Equal(t, Down, l.Phase())
	require.Zero(t, l.down.failed, "no probe has gone out yet")
}
