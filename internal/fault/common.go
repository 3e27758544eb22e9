package fault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/go-kratos/aegis/circuitbreaker"
)

// Common looks at the errors that say the same to everybody. It may panic where a
// method of err does.
func Common(err error) (v Verdict, settled bool) {
	if IsNil(err) {
		return Failure, true
	}
	if Local(err) {
		return Ignored, true
	}
	switch err { //nolint:errorlint // Of unwraps
	case context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF:
		return Failure, true
	}
	switch e := err.(type) { //nolint:errorlint // Of unwraps
	case *url.Error:
		if e.Op == "parse" {
			return Ignored, true
		}
		return Unknown, false // what net/http wraps says more
	case *json.MarshalerError, *json.UnsupportedTypeError, *json.UnsupportedValueError:
		return Ignored, true
	case net.UnknownNetworkError:
		return Ignored, true
	case *net.AddrError:
		if e.Err == "no suitable address found" { // among those that DNS knows
			return Failure, true
		}
		return Ignored, true
	case *net.DNSError:
		if e.Err == "unknown port" {
			return Ignored, true
		}
		return Failure, true
	case interface {
		Timeout() bool
		Temporary() bool
	}, syscall.Errno: // of the network, if nothing in it says more
		return Failure, false
	}
	return Unknown, false
}

// Local reports whether err itself says that its call never left this process: it is a
// rejection, or marked by breaker.NotSent. That comes before its code, if it has one.
func Local(err error) bool {
	if e, ok := err.(interface{ NotSent() bool }); ok && e.NotSent() {
		return true
	}
	return saysRejected(err)
}

// errNobody is an error that nobody else has.
var errNobody = errors.New("fault: nobody's error")

// saysRejected reports whether err itself is the rejection by a breaker of this
// process.
func saysRejected(err error) bool { return says(err, circuitbreaker.ErrNotAllowed) }

// says reports whether err itself is target, or says so. One that says yes to
// everything does not.
func says(err, target error) bool {
	if err == target { //nolint:errorlint // of one error
		return true
	}
	e, ok := err.(interface{ Is(error) bool })
	return ok && !IsNil(err) && e.Is(target) && !e.Is(errNobody)
}

// Rejected reports whether there is a rejection by a breaker of this process in
// err.
func Rejected(err error) bool { return Find(err, saysRejected) }

// turnedDown reports whether text is one of net/http from before anything was
// sent. Its errors have no type of their own. "server closed idle connection" is
// none: a server that closes a connection instead of answering may look so.
func turnedDown(text string) bool {
	for _, prefix := range [...]string{
		"unsupported protocol scheme ",
		"net/http: invalid header ",
		"net/http: invalid trailer ",
		"net/http: invalid method ",
		"net/http: can't write control character in Request.URL",
		"http: no Host in request URL",
		"http: invalid Host header",
		"http: nil Request.",
		"http: Request.ContentLength=",
		"http: Request.RequestURI can't be set in client requests",
		`invalid Trailer key "`,
		"http2: unsupported scheme",
		"http2: unencrypted HTTP/2 not enabled",
		"http2: request header list larger than peer's advertised limit",
		"http2: invalid Upgrade request header: ",
		"http2: invalid Connection request header: ",
		"http2: invalid Transfer-Encoding request header: ",
		"http2: invalid Host header",
		"http2: idna: ",
		"http2: invalid :protocol header in non-CONNECT request",
		"http2: invalid request :path ",
		"http2: invalid HTTP header ",
		"http2: invalid HTTP trailer ",
		`http2: invalid Trailer key "`,
	} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// The gRPC codes of the errors that grpc-go makes before anything is sent.
const (
	grpcCanceled          = 1
	grpcResourceExhausted = 8
	grpcInternal          = 13
	grpcUnauthenticated   = 16
)

// GRPCNotSent reports whether a gRPC status is one of grpc-go's own, from before
// anything was sent. A server may say the same of its answer, or pass it on from
// a client of its own. Between the two, a request that cannot be sent must not count
// against the backend.
func GRPCNotSent(code uint32, message string) bool {
	var prefixes []string
	switch code {
	case grpcInternal:
		prefixes = internal[:]
	case grpcUnauthenticated:
		prefixes = unauthenticated[:]
	case grpcResourceExhausted:
		prefixes = exhausted[:]
	}
	for _, prefix := range prefixes {
		if strings.HasPrefix(message, prefix) {
			return true
		}
	}
	if code != grpcInternal || !strings.HasPrefix(message, `header key "`) {
		return false
	}
	return strings.HasSuffix(message, "contains illegal characters not in [0-9a-z-_.]") ||
		strings.HasSuffix(message, "contains value with non-printable ASCII characters")
}

var (
	internal = [...]string{
		"grpc: error while marshaling: ",
		"grpc: error while compressing: ",
		"grpc: Compressor is not installed for requested grpc-encoding ",
		"no codec registered for content-subtype ",
		"transport: per-RPC creds failed due to error: ",
		"transport: received per-RPC creds error with illegal status: ",
		"there is an empty key in the header",
		"header list size to send violates the maximum size ",
	}
	unauthenticated = [...]string{
		"transport: per-RPC creds failed due to error: ",
		"transport: cannot send secure credentials on an insecure connection",
	}
	exhausted = [...]string{
		"trying to send message larger than max (",
		"grpc: message too large (", // than 4 GB, so no test makes grpc-go say it
	}
)
