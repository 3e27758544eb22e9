package adaptive

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRegression_OldFailuresMadeProbesRarer(t *testing.T) {
	want := probing(t, fell(100), 4)
	l := fell(100)
	for range 50 {
		l.Fail(start+ms, nil, true) // they began before the outage
	}
	l.heard = start
	require.Equal(t, want, probing(t, l, 4))
}

func TestRegression_AnOldFailureBroughtASecondProbeForward(t *testing.T) {
	l := fell(100)
	now := l.NextProbe()
	ask(t, l, now)
	next := l.NextProbe()
	l.Fail(now+ms, nil, true)
	require.Equal(t, next, l.NextProbe(), "the probe is still pending")
}

func TestRegression_CallsThatNeverEndBlockedTheRampForEver(t *testing.T) {
	l := suspecting()
	l.recover(start)
	for now := start; now < start+sec; now += 10 * ms {
		l.Ask(now) // none of them ends
		if l.Phase() != Paced {
			return
		}
	}
	for now := start + sec; now < start+120*sec; now += 10 * ms {
		c, allowed := l.Ask(now)
		if allowed {
			l.Succeed(now+5*ms, c, true)
		}
	}
	require.Equal(t, Calm, l.Phase())
}

func TestRegression_LostPermitsBlockedTheRampForEver(t *testing.T) {
	l := fell(100)
	now := l.NextProbe()
	l.Succeed(now+5*ms, ask(t, l, now), true)
	now += 5 * ms
	for i := 0; l.Phase() == Paced && now < start+300*sec; i++ {
		now += 10 * ms
		c, allowed := l.Ask(now)
		if allowed && i%10 != 0 { // one of ten streams never ends
			l.Succeed(now+5*ms, c, true)
		}
	}
	require.Equal(t, Calm, l.Phase(), "%+v", l.paced)
}
