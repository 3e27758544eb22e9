package sre_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProbe(t *testing.T) {
	for _, rate := range []float64{10, 100, 1000, 10000} {
		inTraffic(t, rate, 1, func(t *testing.T, tr *traffic) {
			start := time.Now()
			_ = start
			tr.during(5*time.Second, up)
			from := tr.now
			calls := tr.during(20*time.Second, down)
			first := time.Duration(0)
			for _, c := range calls {
				if !c.allowed {
					first = c.at - from
					break
				}
			}
			fmt.Println(rate, "opens", first, "leak s", allowed(calls)/rate, "probes", allowed(between(calls, from+10*time.Second, from+20*time.Second))/10, "in total", len(tr.calls))
			from = tr.now
			calls = tr.during(5*time.Second, up)
			last := time.Duration(0)
			for _, c := range calls {
				if !c.allowed {
					last = c.at - from
				}
			}
			fmt.Println(rate, "recovers", last, "lost", rejections(calls)/rate)
			require.True(t, true)
		})
	}
	for _, n := range []int{4, 16} {
		to := 2 * time.Second
		if n == 16 {
			to = 50 * time.Millisecond
		}
		inWorkers(t, n, func(t *testing.T, tr *traffic) {
			tr.during(5*time.Second, up)
			from := tr.now
			calls := tr.during(20*time.Second, hanging(to))
			for _, c := range calls {
				if !c.allowed {
					fmt.Println(n, "workers open", c.at-from)
					break
				}
			}
		})
	}
}
