package errors_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

// fuzzed returns errors of every kind from the input.
func fuzzed(code int32, reason, message string, raw []byte) []error {
	kratos := kratoserrors.New(int(code), reason, message).WithMetadata(map[string]string{reason: message})
	bare := status.FromProto(&spb.Status{Code: code, Message: message})
	all := []error{
		kratos,
		statusError{kratos.GRPCStatus()},
		statusError{bare},
		&url.Error{Op: reason, URL: message, Err: kratos}, &url.Error{Op: "parse", URL: message, Err: statusError{bare}},
	}
	details := []*anypb.Any{{TypeUrl: message, Value: raw}}
	for _, name := range []string{"google.rpc.ErrorInfo", "google.rpc.RetryInfo", reason} {
		details = append(details, &anypb.Any{TypeUrl: "type.googleapis.com/" + name, Value: raw})
	}
	for c := codes.Code(0); c <= 17; c++ {
		all = append(all, statusError{status.FromProto(&spb.Status{Code: int32(c), Message: message, Details: details})})
		if s, err := status.New(c, message).WithDetails(&errdetails.ErrorInfo{Reason: reason}); err == nil {
			all = append(all, s.Err())
		}
	}
	return all
}

func FuzzClassify(f *testing.F) {
	for _, code := range []int32{-1, 0, 1, 2, 13, 14, 99, 100, 200, 404, 429, 499, 500, 501, 503, 599, 600, 10001, 1<<31 - 1, -1 << 31} {
		f.Add(code, "REASON", "a message", []byte(nil))
	}
	f.Add(int32(503), "CIRCUITBREAKER", "", []byte{0x0a, 0x01, 'A'})
	f.Add(int32(503), "NODE_NOT_FOUND", "grpc: error while marshaling: x", []byte{0x0a, 0x02, 0x08, 0x05})
	f.Add(int32(2), "no_available_node", "\xff", []byte{0xff})
	f.Add(int32(0), "", "", []byte{0x0a, 0x0b, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	classifiers := map[string]breaker.Classifier{
		"Classify":       errors.Classify,
		"NewClassifier":  errors.NewClassifier(errors.WithReason(ignored, "REASON", ""), errors.WithOverload(), errors.WithOther(success)),
		"ClassifyKratos": errors.ClassifyKratos,
	}
	alive := context.Background()
	cancelled, cancel := context.WithCancel(alive)
	cancel()
	f.Fuzz(func(t *testing.T, code int32, reason, message string, raw []byte) {
		for _, err := range fuzzed(code, reason, message, raw) {
			for name, classify := range classifiers {
				o := classify(err)
				require.LessOrEqual(t, o, failure, "%s(%#v)", name, err)
				require.Equal(t, o, classify(fmt.Errorf("wrapped: %w", err)), "%s(%#v) differs when wrapped", name, err)
			}
			require.NotEqual(t, ignored, errors.ClassifyKratos(err))
			o := errors.Classify(err)
			require.Equal(t, o, outcomeOf(alive, err))
			// An error of net/http may be the cause of the cancellation.
			if _, ofNetHTTP := err.(*url.Error); o == failure || ofNetHTTP {
				o = ignored
			}
			require.Equal(t, o, outcomeOf(cancelled, err))
			require.False(t, errors.IsRejected(err))
			d, ok := errors.RetryAfter(err)
			require.Equal(t, ok, d > 0)
			_ = errors.NotAllowed(breaker.NewRejectedError(message, breaker.Open, breaker.ReasonOpen, time.Time{}, err)).Error()
		}
	})
}
