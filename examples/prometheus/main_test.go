package main

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPrometheus_ScrapesItsOwnBreakers(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), "localhost:0", false, &out))
	require.Contains(t, out.String(), `level=WARN msg="circuit breaker is open" breaker=/hello from=closed to=open`)
	value := func(series string) float64 {
		_, after, found := strings.Cut(out.String(), "\n"+series+" ")
		require.True(t, found, "no line of %s in\n%s", series, &out)
		line, _, _ := strings.Cut(after, "\n")
		v, err := strconv.ParseFloat(line, 64)
		require.NoError(t, err)
		return v
	}
	allowed := value(`circuitbreaker_requests_total{circuitbreaker_decision="allowed",circuitbreaker_name="/hello"}`)
	rejected := value(`circuitbreaker_requests_total{circuitbreaker_decision="rejected",circuitbreaker_name="/hello"}`)
	require.InDelta(t, 500, allowed+rejected, 0)
	require.Greater(t, rejected, 100.0)
	require.InDelta(t, 100, value(`circuitbreaker_calls_total{circuitbreaker_name="/hello",circuitbreaker_outcome="success"}`), 0)
	require.InDelta(t, 1, value(`circuitbreaker_state{circuitbreaker_name="/hello",circuitbreaker_state="open"}`), 0)
}
