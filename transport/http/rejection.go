package http

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

func (t *transport) reject(req *http.Request, rejection *breaker.RejectedError) (*http.Response, error) {
	if !t.respond {
		return nil, errors.NotAllowed(rejection)
	}
	resp := &http.Response{
		Status:        "503 Service Unavailable",
		StatusCode:    http.StatusServiceUnavailable,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          http.NoBody,
		ContentLength: int64(len(rejected)),
		Request:       req,
	}
	if req.Method != http.MethodHead {
		resp.Body = io.NopCloser(strings.NewReader(rejected))
	}
	if d := rejection.RetryAfter(); d > 0 {
		seconds := (d + time.Second - 1) / time.Second // not too early
		resp.Header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	return resp, nil
}

// rejected is errors.ErrNotAllowed as a Kratos server would send it.
const rejected = `{"code":503,"reason":"CIRCUITBREAKER","message":"request failed due to circuit breaker triggered","metadata":{}}`

// CheckRetry returns a CheckRetry of hashicorp/go-retryablehttp, and of others
// with its shape, that does not repeat rejected requests and leaves everything
// else to next:
//
//	client.CheckRetry = breakerhttp.CheckRetry(retryablehttp.DefaultRetryPolicy)
//
// It panics if next is nil.
func CheckRetry(
	next func(ctx context.Context, resp *http.Response, err error) (bool, error),
) func(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if next == nil {
		panic("transport/http: CheckRetry: the function is nil")
	}
	return func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if err != nil && errors.IsRejected(err) {
			return false, nil // then the caller gets err
		}
		return next(ctx, resp, err)
	}
}
