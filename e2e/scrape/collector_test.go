package scrape_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/prometheus"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	direct "github.com/kratos-breaker/breaker/contrib/prometheus"
	"github.com/kratos-breaker/breaker/metrics"
	"github.com/kratos-breaker/breaker/sre"
)

// newDirect returns a target whose registry has a collector of source.
func newDirect(t testing.TB, registry *client.Registry, source breaker.Source, opts ...direct.Option) *target {
	t.Helper()
	require.NoError(t, registry.Register(direct.NewCollector(source, opts...)))
	return &target{handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}
}

// ways are those in which the breakers of a source come to Prometheus.
var ways = map[string]func(t testing.TB, source breaker.Source) *target{
	"OpenTelemetry": func(t testing.TB, source breaker.Source) *target {
		t.Helper()
		g := newTarget(t)
		g.publish(t, source)
		return g
	},
	"Collector": func(t testing.TB, source breaker.Source) *target {
		t.Helper()
		return newDirect(t, client.NewPedanticRegistry(), source)
	},
}

// world is a source of breakers that come and go, and are overruled, reset,
// called and forgotten.
type world struct {
	*rand.Rand
	listed   []breaker.Listed
	permits  []breaker.Permit
	overflow uint64
	changes  breaker.Reloads
}

func (w *world) Breakers() iter.Seq[breaker.Listed] { return slices.Values(w.listed) }

func (w *world) Keys() breaker.Keys {
	return breaker.Keys{Held: len(w.listed), Limit: 10, Overflows: w.overflow}
}

func (w *world) Reloads() breaker.Reloads { return w.changes }

func (w *world) come(key string, overflow bool) {
	var b breaker.Breaker = circuit.NewBreaker(circuit.WithFailureRate(0.5, 4, 10*time.Millisecond), circuit.WithDelay(5*time.Millisecond))
	if w.IntN(2) == 0 {
		b = sre.NewBreaker(sre.WithRequest(4), sre.WithWindow(20*time.Millisecond))
	}
	w.listed = append(w.listed, breaker.Listed{Key: key, Overflow: overflow, Breaker: b})
}

// step lets one thing happen.
func (w *world) step() {
	if len(w.listed) == 0 {
		w.come("first", false)
	}
	l := w.listed[w.IntN(len(w.listed))]
	switch p := w.IntN(100); {
	case p < 4:
		w.come([]string{"a", "a.b", "/c/D", "\"\\\n", "\xff", "<&>"}[w.IntN(6)], false)
	case p < 5:
		w.come("", true)
	case p < 8:
		w.listed = slices.DeleteFunc(w.listed, func(other breaker.Listed) bool { return other == l })
	case p < 10:
		l.Breaker.(breaker.Controller).SetMode(breaker.Mode(w.IntN(4)))
	case p < 11:
		l.Breaker.(breaker.Controller).Reset()
	case p < 12:
		w.changes.Applied++
		w.changes.Rejected += uint64(w.IntN(2))
		w.overflow++
	case p < 22:
		time.Sleep(time.Duration(w.Int64N(int64(5 * time.Millisecond))))
	default:
		if permit, err := l.Breaker.Acquire(); err == nil {
			w.permits = append(w.permits, permit)
		}
		if n := len(w.permits); n > 0 && w.IntN(8) > 0 { // mostly failures
			w.permits[n-1].Done([]breaker.Outcome{breaker.Failure, breaker.Failure, breaker.Failure, breaker.Success, breaker.Ignored}[w.IntN(5)])
			w.permits = w.permits[:n-1]
		}
	}
}

// page returns what is scraped of g, without compression.
func (g *target) page() string {
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// lineStart is the name of a metric, and a state that only some breakers have.
var lineStart = regexp.MustCompile(`(?m)^circuitbreaker_\w+|(from|to)="half-open"`)

// TestCollector_GivesTheSamePageAsOpenTelemetry, to the byte.
func TestCollector_GivesTheSamePageAsOpenTelemetry(t *testing.T) {
	kind := func(l breaker.Listed) string { return fmt.Sprintf("%T", l.Breaker) }
	quoted := func(l breaker.Listed) string { return strconv.Quote(l.Key) }
	for name, v := range map[string]struct {
		otel   []metrics.Option
		direct []direct.Option
	}{
		"ByDefault": {},
		"BeyondTheLimit": {
			[]metrics.Option{metrics.WithLimit(3)},
			[]direct.Option{direct.WithLimit(3)},
		},
		"WithLabels": {
			[]metrics.Option{
				metrics.WithCommonAttributes(attribute.String("zone", "z"), attribute.String("app", "shop")),
				metrics.WithAttributes(func(l breaker.Listed) []attribute.KeyValue {
					return []attribute.KeyValue{attribute.String("kind", kind(l)), attribute.String("b", quoted(l))}
				}),
			},
			[]direct.Option{
				direct.WithCommonLabels(client.Labels{"zone": "z", "app": "shop"}),
				direct.WithLabel("kind", kind),
				direct.WithLabel("b", quoted),
			},
		},
		"WithSharedSeries": {
			[]metrics.Option{metrics.WithAttributes(func(l breaker.Listed) []attribute.KeyValue {
				return []attribute.KeyValue{attribute.String("circuitbreaker.name", kind(l))}
			})},
			[]direct.Option{direct.WithLabel("circuitbreaker_name", kind)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			for seed := range uint64(8) {
				synctest.Test(t, func(t *testing.T) {
					w := &world{Rand: rand.New(rand.NewPCG(seed, 6))}
					otel := newTarget(t, prometheus.WithoutScopeInfo(), prometheus.WithoutTargetInfo())
					otel.publish(t, w, v.otel...)
					collector := newDirect(t, client.NewPedanticRegistry(), w, v.direct...)
					for range 40 {
						for range w.IntN(60) {
							w.step()
						}
						page := collector.page()
						require.Equal(t, otel.page(), page)
						for _, line := range lineStart.FindAllString(page, -1) {
							seen[line] = true
						}
					}
				})
			}
			require.Len(t, seen, 13+2, "not every metric was there: %v", seen)
		})
	}
}

// As deploy/grafana/README.md says.
func TestCollector_TakesAQuarterOfTheMemoryOfOpenTelemetry(t *testing.T) {
	otel := newTarget(t, prometheus.WithoutScopeInfo())
	otel.publish(t, breaker.SourceOf(filled(256)))
	collector := newDirect(t, client.NewRegistry(), breaker.SourceOf(filled(256)))
	var allocated [2][]float64
	for range 5 { // the first makes what is kept
		for i, g := range []*target{otel, collector} {
			_, bytes := g.cost("identity")
			allocated[i] = append(allocated[i], bytes)
		}
	}
	require.InDelta(t, 0.25, median(allocated[1])/median(allocated[0]), 0.05)
}

// BenchmarkBothWays256 compares a whole scrape of 256 breakers through a
// collector with one through OpenTelemetry, as plain text and compressed, as
// Prometheus asks for it. They take turns, in one run.
//
//	go test -run '^$' -bench BothWays256 -benchtime 100x ./scrape
func BenchmarkBothWays256(b *testing.B) {
	otel := newTarget(b, prometheus.WithoutScopeInfo())
	otel.publish(b, breaker.SourceOf(filled(256)))
	both := []*target{otel, newDirect(b, client.NewRegistry(), breaker.SourceOf(filled(256)))}
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			var took, allocated [2][]float64
			for n := 0; b.Loop(); n++ {
				for i := range both {
					i = (i + n) % 2 // nobody is always the first
					t, bytes := both[i].cost(encoding)
					took[i], allocated[i] = append(took[i], t.Seconds()*1e3), append(allocated[i], bytes)
				}
			}
			ratios := make([]float64, len(took[0]))
			for i := range ratios {
				ratios[i] = took[0][i] / took[1][i]
			}
			b.ReportMetric(0, "ns/op") // an operation is a turn of both
			b.ReportMetric(median(took[0]), "otel-ms/scrape")
			b.ReportMetric(median(took[1]), "collector-ms/scrape")
			b.ReportMetric(median(ratios), "times-faster")
			b.ReportMetric(median(allocated[0])/median(allocated[1]), "times-less-memory")
		})
	}
}

// cost returns how long a scrape takes and how many bytes it allocates. Garbage
// of what was before is not in it.
func (g *target) cost(encoding string) (time.Duration, float64) {
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept-Encoding", encoding)
	var before, after runtime.MemStats
	page := discard{http.Header{}}
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	g.handler.ServeHTTP(page, r)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	return took, float64(after.TotalAlloc - before.TotalAlloc)
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) WriteHeader(int)             {}
func (discard) Write(b []byte) (int, error) { return len(b), nil }
