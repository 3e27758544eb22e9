package sre_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kratos-breaker/breaker/sre"
)

func TestProbe(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10} {
		inTraffic(t, 1000, 1, func(t *testing.T, tr *traffic) {
			tr.during(10*time.Second, up)
			tr.during(20*time.Second, down)
			for range 6 {
				calls := tr.during(5*time.Second, up)
				fmt.Println(n, "buckets: rejected", rejections(calls)/float64(len(calls)), tr.b.Snapshot().State)
			}
			calls := tr.during(20*time.Second, limited(300))
			fmt.Println(n, "buckets: overload rejected", rejections(calls)/float64(len(calls)), served(calls)/6000, tr.b.Snapshot().State)
		}, sre.WithBucket(n))
	}
	inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
		tr.during(10*time.Second, up)
		for range 10 {
			calls := tr.during(time.Minute, down)
			fmt.Println("1m probes: allowed", allowed(calls), tr.b.Snapshot().State)
		}
	}, sre.WithProbeInterval(time.Minute))
	for _, rate := range []float64{100, 1000} {
		inTraffic(t, rate, 1, func(t *testing.T, tr *traffic) {
			tr.regular = true
			tr.during(10*time.Second, up)
			n := 0
			calls := tr.during(20*time.Second, func(time.Duration, float64) (bool, time.Duration) { n++; return n%3 == 0, latency })
			fmt.Println("every third", rejections(calls)/float64(len(calls)))
			calls = tr.during(20*time.Second, limited(rate/3))
			fmt.Println("regular limited third", rejections(calls)/float64(len(calls)))
		})
	}
	for _, w := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour} {
		inTraffic(t, 1000, 1, func(t *testing.T, tr *traffic) {
			tr.during(10*time.Second, up)
			calls := tr.during(20*time.Second, down)
			a := allowed(calls)
			calls = tr.during(5*time.Second, up)
			fmt.Println(w, "window: leak", a, "lost", rejections(calls), tr.b.Snapshot().State)
			calls = tr.during(40*time.Second, limited(300))
			fmt.Println(w, "overload rejected", rejections(calls)/float64(len(calls)), served(calls)/12000)
			tr.during(20*time.Second, up)
			calls = tr.during(40*time.Second, failing(0.5))
			fmt.Println(w, "partial rejected", rejections(calls)/float64(len(calls)))
		}, sre.WithWindow(w))
	}
	// Long window, stale.
	inTraffic(t, 10, 1, func(t *testing.T, tr *traffic) {
		tr.during(10*time.Minute, up)
		tr.during(5*time.Second, down)
		calls := tr.during(10*time.Minute, up)
		fmt.Println("10 min window rejected after", rejections(calls), tr.b.Snapshot().Totals)
	}, sre.WithWindow(10*time.Minute))
}
