// Package faults_test breaks calls over real sockets in every way that it knows,
// through each adapter, and looks at what the breaker was told and what the
// caller saw. The table of it is in docs/faults.md. This prints it:
//
//	go test -count 1 -v -run Matrix ./faults
//
// The rest is load: a mixture of the faults, restarts, and what a breaker costs.
package faults_test

import (
	"io"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/log"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/grpclog"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
)

func TestMain(m *testing.M) {
	log.SetLogger(log.NewStdLogger(io.Discard))
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	goleak.VerifyTestMain(m, ofToxiproxy...)
}

// ofToxiproxy are the goroutines that toxiproxy leaves behind if it is stopped
// while it has something to pass on. None of them runs anything of ours.
var ofToxiproxy = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
	goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
}

const (
	success = breaker.Success
	failure = breaker.Failure
	ignored = breaker.Ignored

	// patience is how long a test waits for what comes soon.
	patience = 20 * time.Second
)

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, time.Millisecond, what)
}

// breakers are what an adapter gets.
type breakers = *group.Group[breaker.CircuitBreaker]

// single is a group with one breaker for every key.
func single(b breaker.CircuitBreaker) breakers {
	return group.NewGroup(func() breaker.CircuitBreaker { return b })
}
