package grpc_test

// docs/streams.md makes claims. This file reads them from there: each sample is
// code of this file, and each row of a table has a scene.

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// The samples, in functions that the tests below call.

func docsKratos(ctx context.Context, endpoint string) (*grpc.ClientConn, *group.Group[*sre.Breaker], error) {
	breakers := group.NewKeyed(func(key string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(key))
	})
	conn, err := kgrpc.DialInsecure(ctx,
		kgrpc.WithEndpoint(endpoint),
		kgrpc.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithGroup(breakers))),
		kgrpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(breakers))),
	)
	return conn, breakers, err
}

func docsKey() cbgrpc.Option {
	byOperation := cbgrpc.WithKey(func(_ context.Context, operation string, _ *grpc.ClientConn) string {
		return operation
	})
	return byOperation
}

func docsGRPC(target string, breakers *group.Group[*sre.Breaker]) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(breakers))),
		grpc.WithChainStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(breakers))),
	)
	return conn, err
}

func docsWatching[B breaker.CircuitBreaker](breakers *group.Group[B]) grpc.StreamClientInterceptor {
	watching := cbgrpc.StreamClientInterceptor(
		cbgrpc.WithGroup(breakers),
		cbgrpc.WithStreamSuccessAfter(time.Minute),
	)
	return watching
}

func docsText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/streams.md")
	require.NoError(t, err)
	return string(text)
}

// docsRows returns the cells of the table whose head begins with a cell.
func docsRows(t *testing.T, first string) map[string]string {
	t.Helper()
	_, rest, ok := strings.Cut(docsText(t), "\n| "+first+" | ")
	require.True(t, ok)
	rows := map[string]string{}
	for _, line := range strings.Split(rest, "\n")[2:] {
		cells := strings.Split(line, " | ")
		if len(cells) != 2 {
			break
		}
		rows[strings.TrimPrefix(cells[0], "| ")] = strings.TrimSuffix(cells[1], " |")
	}
	require.NotEmpty(t, rows)
	return rows
}

func TestDocs_EachSampleIsCodeOfThisFile(t *testing.T) {
	code, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	samples := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(docsText(t), -1)
	require.Len(t, samples, 4)
	for _, s := range samples {
		indented := "\t" + strings.ReplaceAll(strings.TrimSuffix(s[1], "\n"), "\n", "\n\t") + "\n"
		require.Contains(t, string(code), indented)
	}
}

func TestDocs_EachSampleDoesWhatItShows(t *testing.T) {
	b := &backend{stream: echo, unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
		return new(testgrpc.SimpleResponse), nil
	}}
	endpoint := serveKratos(t, b)
	conn, breakers, err := docsKratos(t.Context(), endpoint)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	plain, err := docsGRPC("passthrough:///"+endpoint, breakers)
	require.NoError(t, err)
	defer func() { require.NoError(t, plain.Close()) }()
	for _, cc := range []*grpc.ClientConn{conn, plain} {
		require.NoError(t, callUnary(t.Context(), cc))
		for m, talk := range talk {
			require.NoError(t, talk(t.Context(), testgrpc.NewTestServiceClient(cc)))
			breakertest.RequireTotals(t, breakers.Get(cc.Target()+m), breaker.Totals{Success: 1})
		}
	}
	breakertest.RequireTotals(t, breakers.Get(unaryMethod), breaker.Totals{Success: 1})
	breakertest.RequireTotals(t, breakers.Get(plain.Target()+unaryMethod), breaker.Totals{Success: 1})
	require.Equal(t, 8, breakers.Len())

	rules := &calls{b: new(permits)}
	require.NoError(t, cbgrpc.UnaryClientInterceptor(docsKey(), cbgrpc.WithRules(rules))(t.Context(), method, nil, nil, plain, invoker(nil)))
	require.Equal(t, [][2]string{{"grpc", method}}, rules.asked)
}

func TestDocs_EachEndCountsAsTheTableSays(t *testing.T) {
	plays := map[string]func(*scene) error{
		"the server ends it without an error":                                         answers(1, nil),
		"the server ends it with `NotFound`, or another error of the caller's making": answers(1, status.Error(codes.NotFound, "")),
		"the server ends it with `Unavailable`, or another error of its own":          answers(1, status.Error(codes.Unavailable, "")),
		"it cannot be opened, since nobody listens": func(s *scene) error {
			s.server.Stop()
			_, err := s.open(s.t.Context())
			return err
		},
	}
	for row, name := range map[string]string{
		"the server stops, or the connection breaks":                  "a server that stops",
		"its deadline passes":                                         "a deadline",
		"its deadline had passed before it was opened":                "a deadline that was over before",
		"the caller cancels its context, and may never have received": "a caller who leaves without receiving",
		"the client's connection is closed by its owner":              "a connection that its owner closes",
	} {
		for _, end := range streamEnds {
			if end.name == name {
				plays[row] = end.play
			}
		}
	}
	rows := docsRows(t, "how it ends")
	require.Len(t, plays, len(rows))
	for row, want := range rows {
		t.Run(row, func(t *testing.T) {
			require.Contains(t, plays, row)
			b := new(permits)
			s := newScene(t, b)
			s.kind = kinds[2]
			err := plays[row](s)
			eventually(t, "the permit is settled", func() bool { return len(b.outcomes()) > 0 })
			require.Equal(t, want, b.outcomes()[0].String(), "%v", err)
		})
	}
}

func TestDocs_StreamsThatStayOpenCountAsTheTableSays(t *testing.T) {
	rows := docsRows(t, "a stream that has lasted a minute and")
	require.Len(t, rows, 3)
	synctest.Test(t, func(t *testing.T) {
		for row, c := range map[string]struct{ before, after int }{
			"receives a message":                           {0, 1},
			"had a message before, and ends with an error": {1, 0},
			"never had a message, and ends with an error":  {0, 0},
		} {
			require.Contains(t, rows, row)
			want, atOnce := strings.CutSuffix(rows[row], ", at that moment")
			b := new(permits)
			s := new(fakeStream)
			stream := open(t, docsWatching(single(b)), s)
			for range c.before {
				require.NoError(t, stream.RecvMsg(nil))
			}
			time.Sleep(time.Minute)
			for range c.after {
				require.NoError(t, stream.RecvMsg(nil))
			}
			require.Equal(t, atOnce, len(b.outcomes()) == 1)
			s.finish(status.Error(codes.Unavailable, ""))
			require.Len(t, b.outcomes(), 1)
			require.Equal(t, want, b.outcomes()[0].String(), row)
		}
	})
}
