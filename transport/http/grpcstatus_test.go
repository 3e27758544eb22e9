package http_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
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
			inTrailer := false
			code := codes.OK
			base, url := w.start(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/grpc")
				set := rw.Header().Set
				if inTrailer {
					rw.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
					_, _ = io.WriteString(rw, "a message")
				}
				set("Grpc-Status", fmt.Sprint(int(code)))
				set("Grpc-Message", "no%20luck")
			}))
			defer base.CloseIdleConnections()
			for code = codes.OK; code <= codes.Unauthenticated; code++ {
				want := breaker.Success
				if code != codes.OK {
					want = cberrors.Classify(status.Error(code, ""))
				}
				for _, inTrailer = range []bool{false, true} {
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
						if inTrailer && !withBody {
							b.requireOnly(t, success) // it has ended with the header
							continue
						}
						b.requireOnly(t, want)
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
