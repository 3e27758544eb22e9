package http_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// gRPC, gRPC-Web and Connect answer 200, and say in a header or trailer how the call
// ended.
func TestGRPCStatus_CountsAsItsCodeInTheHeaderAndWithTheBodyInTheTrailer(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			code, where := codes.OK, ""
			base, url := w.start(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/grpc")
				set := rw.Header().Set
				say := func(code codes.Code) {
					set("Grpc-Status", fmt.Sprint(int(code)))
					set("Grpc-Message", "no%20luck")
				}
				switch where {
				case "header":
					say(code)
				case "header with a body":
					say(code)
					_, _ = io.WriteString(rw, "a message")
				case "trailer":
					set("Trailer", "Grpc-Status, Grpc-Message")
					_, _ = io.WriteString(rw, "a message")
					say(code)
				case "trailer, and an OK in the header":
					set("Grpc-Status", "0")
					_, _ = io.WriteString(rw, "a message")
					rw.(http.Flusher).Flush() // the header
					rw.Header().Set(http.TrailerPrefix+"Grpc-Status", fmt.Sprint(int(code)))
					rw.Header().Set(http.TrailerPrefix+"Grpc-Message", "no%20luck")
				}
			}))
			defer base.CloseIdleConnections()
			for code = codes.OK; code <= codes.Unauthenticated; code++ {
				want := breaker.Success
				if code != codes.OK {
					want = cberrors.Classify(status.Error(code, ""))
				}
				for _, where = range []string{"header", "header with a body", "trailer", "trailer, and an OK in the header"} {
					for _, withBody := range []bool{false, true} {
						b := &permits{}
						opts := []breakerhttp.Option{with(b)}
						if withBody {
							opts = append(opts, breakerhttp.WithBody())
						}
						resp, err := breakerhttp.NewTransport(base, opts...).RoundTrip(request(t.Context(), t, http.MethodPost, url, nil))
						require.NoError(t, err)
						_, err = io.Copy(io.Discard, resp.Body)
						require.NoError(t, err)
						require.NoError(t, resp.Body.Close())
						if strings.HasPrefix(where, "trailer") && !withBody {
							b.requireOnly(t, success) // it has ended with the header
							continue
						}
						require.Equal(t, []breaker.Outcome{want}, b.outcomes(), "%v in the %s, %v", code, where, withBody)
						if err := b.results()[0].Err; want == failure {
							require.Equal(t, code, status.Code(err))
							require.Equal(t, "no luck", status.Convert(err).Message())
						}
					}
				}
			}
		})
	}
}

func TestGRPCStatus_HasTheDetailsAndCanBeClassified(t *testing.T) {
	s, err := status.New(codes.Unknown, "sold out").WithDetails(&errdetails.ErrorInfo{Reason: "OUT_OF_STOCK"})
	require.NoError(t, err)
	busy, err := status.New(codes.Unavailable, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(7e9)})
	require.NoError(t, err)
	header := func(s *status.Status, encode func([]byte) string) []string {
		raw, err := proto.Marshal(s.Proto())
		require.NoError(t, err)
		return []string{"Grpc-Status", fmt.Sprint(int(s.Code())), "Grpc-Message", s.Message(), "Grpc-Status-Details-Bin", encode(raw)}
	}
	for _, encode := range []func([]byte) string{base64.StdEncoding.EncodeToString, base64.RawStdEncoding.EncodeToString} {
		b := &permits{}
		_, err = roundTrip(breakerhttp.NewTransport(answers(200, header(s, encode)...), with(b)), get(t))
		require.NoError(t, err)
		b.requireOnly(t, success) // a business error of Kratos

		b = &permits{}
		_, err = roundTrip(breakerhttp.NewTransport(answers(200, header(busy, encode)...), with(b)), get(t))
		require.NoError(t, err)
		b.requireOnly(t, failure)
		require.EqualValues(t, 7e9, b.results()[0].RetryAfter)
	}
	for _, opt := range []breakerhttp.Option{
		breakerhttp.WithClassifier(cberrors.NewClassifier(cberrors.WithGRPCCode(breaker.Success, codes.Unavailable))),
		breakerhttp.WithResponseClassifier(func(*http.Response) breaker.Outcome { return success }),
	} {
		b := &permits{}
		_, err = roundTrip(breakerhttp.NewTransport(answers(200, "Grpc-Status", "14"), with(b), opt), get(t))
		require.NoError(t, err)
		b.requireOnly(t, success)
	}
	for v, want := range map[string]breaker.Outcome{"0": success, "": failure, "x": failure, "-1": failure, "99": failure, "99999999999999999999": failure} {
		b := &permits{}
		_, err = roundTrip(breakerhttp.NewTransport(answers(200, "Grpc-Status", v), with(b)), get(t))
		require.NoError(t, err)
		require.Equal(t, []breaker.Outcome{want}, b.outcomes(), "%q", v)
	}
	b := &permits{}
	_, err = roundTrip(breakerhttp.NewTransport(answers(502, "Grpc-Status", "0"), with(b)), get(t))
	require.NoError(t, err)
	b.requireOnly(t, failure) // the status of HTTP is that of a proxy
}

// A response classifier sees the header, and no trailer.
func TestGRPCStatus_OfTheTrailerCountsBesideAResponseClassifierAndThatOfTheHeaderIsItsOwn(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.DataLoss, codes.DeadlineExceeded} {
		said := http.Header{"Grpc-Status": {fmt.Sprint(int(code))}}
		for where, row := range map[string]struct {
			header, trailer http.Header
			want            breaker.Outcome
		}{
			"header":  {said, nil, success},
			"trailer": {http.Header{}, said, failure},
			"both":    {said, said, failure},
		} {
			b := &permits{}
			asked := 0
			rt := breakerhttp.NewTransport(tripper(func(req *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: row.header, Trailer: row.trailer, Body: newSource("a message"), Request: req}, nil
			}), with(b), breakerhttp.WithBody(), breakerhttp.WithResponseClassifier(func(resp *http.Response) breaker.Outcome {
				asked++
				require.Equal(t, row.header, resp.Header)
				return success
			}))
			resp, err := rt.RoundTrip(get(t))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, 1, asked)
			require.Equal(t, []breaker.Outcome{row.want}, b.outcomes(), "%v in the %s", code, where)
		}
	}
}

// What grpc-go says of a request that it could not send, a backend may say of its answer.
// One that has come is no error of our own.
func TestRegression_AnAnswerInTheWordsOfARequestThatWasNotSentWasIgnored(t *testing.T) {
	for _, s := range []*status.Status{
		status.New(codes.Internal, "grpc: error while marshaling: string field contains invalid UTF-8"),
		status.New(codes.Internal, "header list size to send violates the maximum size (1 bytes) set by server"),
		status.New(codes.Unauthenticated, "transport: per-RPC creds failed due to error: no token"),
		status.New(codes.ResourceExhausted, "trying to send message larger than max (8 vs. 4)"),
	} {
		want := cberrors.Classify(status.Error(s.Code(), "other words"))
		for where, base := range map[string]tripper{
			"header": answers(200, "Grpc-Status", fmt.Sprint(int(s.Code())), "Grpc-Message", s.Message()),
			"trailer": func(req *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: newSource(""), Request: req, Trailer: http.Header{
					"Grpc-Status": {fmt.Sprint(int(s.Code()))}, "Grpc-Message": {s.Message()},
				}}, nil
			},
		} {
			b := &permits{}
			resp, err := breakerhttp.NewTransport(base, with(b), breakerhttp.WithBody()).RoundTrip(get(t))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, []breaker.Outcome{want}, b.outcomes(), "%v in the %s", s, where)
			if want == failure {
				require.Equal(t, s.Message(), status.Convert(b.results()[0].Err).Message())
			}
			require.False(t, b.results()[0].NotSent)
		}
	}
}
