package faults_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

// mixed are the adapters, each with a transport.
var mixed = []*line{
	lines[0], lines[3], lines[4], lines[6], lines[10],
	{name: "streams", grpc: true, guard: func(n *network, b breakers) dialer {
		kinds := []kind{serverStream, clientStream, bidirectional}
		var calls atomic.Uint64
		return plainGRPC(func(ctx context.Context, c testgrpc.TestServiceClient) error {
			return kinds[calls.Add(1)%uint64(len(kinds))](ctx, c)
		})(n, b)
	}},
}

// outcomeOf says what a call counts as by what its caller saw of it.
func (l *line) outcomeOf(saw string) breaker.Outcome {
	status, rest, broke := strings.Cut(saw, then)
	switch {
	case broke && l.body && rest != badJSON:
		return l.outcomeOf(rest)
	case status == "OK", status == "200", status == "429", status == "ResourceExhausted":
		return success
	case status == cancelled, status == "Canceled", status == tooLate:
		return ignored
	}
	return failure
}

// place is where calls of a mixture go, and what may happen there.
type place struct {
	percent int // of the calls
	to      target
	dos     []string
	ends    []ending
}

// ending is how a call in a mixture may be ended.
type ending uint8

const (
	byBackend  ending = iota
	byCaller          // who cancels
	byDeadline        // of the caller
	before            // by a deadline of the caller that was over before the call
)

// mixture is a load of calls that end in all ways.
type mixture struct {
	t       *testing.T
	line    *line
	b       breaker.Breaker
	network *network
	backend *backend
	sockets []*socket
	shaky   *socket // on which connections are closed and reset
	places  []place
	clients map[target]*client

	mu    sync.Mutex
	saw   map[string]int
	asked int // calls that asked the breaker
	want  breaker.Totals
}

const (
	workers  = 16
	deadline = 20 * time.Millisecond

	// tooLate is a call whose deadline was over before it began.
	tooLate = "too late"
)

// questioned is a context that remembers what it said when it was first asked
// whether it had ended. It is the adapter who asks, right before the call, and
// nobody else can know for sure what the answer was.
type questioned struct {
	context.Context
	once  sync.Once
	ended bool
}

func (c *questioned) Err() error {
	err := c.Context.Err()
	c.once.Do(func() { c.ended = err != nil })
	return err
}

// asks reports whether the adapter asks a breaker for a call that ends so. The
// RoundTripper asks none for a caller who is too late.
func (l *line) asks(saw string) bool { return saw != tooLate || l.grpc || l.kratos }

func newMixture(t *testing.T, l *line, b breaker.Breaker) *mixture {
	m := &mixture{
		t: t, line: l, b: b, network: newNetwork(nameServer(t)), backend: newBackend(),
		clients: map[target]*client{}, saw: map[string]int{},
	}
	m.network.backoff = 100 * time.Millisecond
	listening := func(serve func(*socket)) (*socket, target) {
		s := newSocket(t)
		serve(s)
		m.sockets = append(m.sockets, s)
		return s, target{address: s.Addr().String()}
	}
	serve := func(s *socket) {
		if l.grpc {
			serveGRPC(t, s, m.backend)
		} else {
			serveHTTP(t, s, m.backend)
		}
	}
	_, steady := listening(serve)
	var shaky target
	m.shaky, shaky = listening(serve)
	raw := steady
	if l.grpc {
		_, raw = listening(func(s *socket) { serveHTTP(t, s, proxied{backend: m.backend}) })
	}
	black := newSocket(t)
	hole := newProxy(t, black)
	hole.swallows(t)
	bad := []ending{byBackend}
	halves := []ending{byCaller}
	if l.kratos || l.grpc || !l.body { // otherwise a deadline counts only if somebody reads when it comes
		halves = append(halves, byDeadline)
	}
	m.places = []place{
		{45, shaky, []string{wellDone, wellDone, wellDone, wellDone, "500", "503", "504", "429"}, bad},
		{14, steady, []string{wellDone}, bad},
		{2, steady, []string{wellDone}, []ending{before}},
		{9, steady, []string{hang}, []ending{byCaller, byDeadline}},
		{7, raw, []string{half}, halves},
		{6, raw, []string{garbled, breakOff}, bad},
		{5, target{address: closedPort(t)}, []string{wellDone}, bad},
		{4, target{name: "nowhere.invalid."}, []string{wellDone}, bad},
		{3, target{address: serveTLS(t), tls: true}, []string{wellDone}, bad},
		{3, target{address: loginServer(t)}, []string{wellDone}, bad},
		{2, target{address: hole.Listen}, []string{wellDone}, []ending{byDeadline}},
	}
	dial := l.guard(m.network, single(b))
	for _, p := range m.places {
		if m.clients[p.to] == nil {
			m.clients[p.to] = dial(p.to)
		}
	}
	return m
}

func (m *mixture) choose(r *rand.Rand) place {
	n := r.IntN(100)
	for _, p := range m.places {
		if n -= p.percent; n < 0 {
			return p
		}
	}
	panic("the places are for less than 100 percent")
}

// run makes calls.
func (m *mixture) run(seed uint64, calls int) {
	var next atomic.Int64
	var callers sync.WaitGroup
	for w := range workers {
		r := rand.New(rand.NewPCG(seed, uint64(w)))
		callers.Go(func() {
			for n := next.Add(1); n <= int64(calls); n = next.Add(1) {
				if r.IntN(100) == 0 {
					m.shaky.hangUp(r.IntN(2) == 0)
				}
				p := m.choose(r)
				saw := m.call(m.clients[p.to], strconv.FormatInt(n, 10), p.dos[r.IntN(len(p.dos))], p.ends[r.IntN(len(p.ends))])
				m.count(saw)
				if saw == rejected {
					time.Sleep(time.Millisecond) // a polite caller
				}
			}
		})
	}
	callers.Wait()
}

func (m *mixture) call(c *client, id, do string, end ending) (saw string) {
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	switch end {
	case byCaller:
		ctx, cancel := context.WithCancel(ctx)
		arrived := m.backend.expect(id)
		var caller sync.WaitGroup
		caller.Go(func() {
			select {
			case <-arrived:
				cancel()
			case <-ctx.Done():
			}
		})
		defer func() {
			cancel()
			caller.Wait()
		}()
		return c.call(ctx, do, id)
	case byDeadline, before:
		soon := deadline
		if end == before {
			soon = -time.Second
		}
		ctx, cancel := context.WithTimeout(ctx, soon)
		defer cancel()
		asked := &questioned{Context: ctx}
		saw := c.call(asked, do, id)
		if asked.ended && (saw == timedOut || saw == "DeadlineExceeded") {
			return tooLate
		}
		return saw
	}
	return c.call(ctx, do, id)
}

func (m *mixture) count(saw string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saw[saw]++
	switch {
	case !m.line.asks(saw):
		return
	case saw == rejected:
		m.want.Rejected++
	default:
		m.want = breakertest.Add(m.want, m.line.outcomeOf(saw))
	}
	m.asked++
}

// end closes the clients and requires that nothing is left.
func (m *mixture) end() {
	eventually(m.t, "no connection and no stream is left", func() bool {
		for _, c := range m.clients {
			c.close()
		}
		left := m.network.connections() + m.backend.streams()
		for _, s := range m.sockets {
			left += s.connections()
		}
		return left == 0
	})
	eventually(m.t, "no call is left", func() bool { return m.b.Snapshot().Totals.InFlight == 0 })
}

func callsOf(many int) int {
	if raceEnabled || testing.Short() {
		return many / 5
	}
	return many
}

// requireNoLeaks requires that the rest of the test leaves no goroutine.
func requireNoLeaks(t *testing.T) {
	options := append(ofToxiproxy[:len(ofToxiproxy):len(ofToxiproxy)], goleak.IgnoreCurrent())
	t.Cleanup(func() { goleak.VerifyNone(t, options...) })
}

// probeLimit is less than the workers, so that some calls are rejected.
const probeLimit = workers - 2

// halfOpen returns a breaker that is half-open and stays so: each call is a
// probe, and holds a place that nothing but its end frees.
func halfOpen(t *testing.T) *circuit.Breaker {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(0),
		circuit.WithProbes(500_000, 1_000_000), circuit.WithProbeLimit(probeLimit), circuit.WithProbeLease(24*time.Hour))
	p, err := b.Acquire()
	require.NoError(t, err)
	p.Done(failure)
	return b
}

func TestMix_TotalsAreExactAndNoPlaceOfAProbeIsLost(t *testing.T) {
	calls := callsOf(10_000)
	for _, l := range mixed {
		t.Run(l.name, func(t *testing.T) {
			requireNoLeaks(t)
			b := halfOpen(t)
			m := newMixture(t, l, b)
			m.want.Failure = 1 // by halfOpen
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			m.run(seed, calls)
			m.end()
			t.Logf("%v", m.saw)

			breakertest.RequireTotals(t, b, m.want)
			require.EqualValues(t, m.asked+1, b.Snapshot().Totals.Offered)
			for _, n := range []uint64{m.want.Success, m.want.Failure, m.want.Ignored, m.want.Rejected} {
				require.Positive(t, n, "the mixture lacks an end")
			}
			require.Positive(t, m.saw[tooLate])
			require.Less(t, m.saw[rejected], calls/2, "places were lost")
			require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
			breakertest.Acquire(t, b, probeLimit)
			_, err := b.Acquire()
			var rejection *breaker.RejectedError
			require.True(t, errors.As(err, &rejection))
			require.Equal(t, breaker.ReasonProbeLimit, rejection.Reason())
		})
	}
}

func TestMix_TotalsAreExactWhileABreakerDecides(t *testing.T) {
	calls := callsOf(2_000)
	for name, newBreaker := range map[string]func() breaker.Breaker{
		"sre": func() breaker.Breaker { return sre.NewBreaker() },
		"circuit": func() breaker.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(4), circuit.WithDelay(5*time.Millisecond), circuit.WithProbes(2, 3))
		},
	} {
		for _, l := range mixed {
			t.Run(name+"/"+l.name, func(t *testing.T) {
				requireNoLeaks(t)
				b := newBreaker()
				m := newMixture(t, l, b)
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				m.run(seed, calls)
				m.end()
				t.Logf("%v", m.saw)
				breakertest.RequireTotals(t, b, m.want)
				require.EqualValues(t, m.asked, b.Snapshot().Totals.Offered)
			})
		}
	}
}
