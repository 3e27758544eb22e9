package faults_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"google.golang.org/grpc/status"

	cberrors "github.com/kratos-breaker/breaker/errors"
)

// What a caller sees of a call that fails, in the words of the table. Over gRPC
// it is the code, with Kratos the one of Kratos' error, if it is one.
const (
	rejected   = "rejected"
	cancelled  = "cancelled"
	timedOut   = "timed out"
	noSuchHost = "no such host"
	notTrusted = "not trusted"
	refused    = "refused"
	reset      = "reset"
	brokenOff  = "broken off"
	badJSON    = "bad JSON"
	noHTTP     = "no HTTP"
	idleClosed = "closed while idle"
	closedHere = "closed"
)

// classOf returns the word for an error, or its text if there is none.
func classOf(err error) string {
	var (
		kratos  *kratoserrors.Error
		code    interface{ GRPCStatus() *status.Status }
		network net.Error
		dns     *net.DNSError
		trust   *tls.CertificateVerificationError
		syntax  *json.SyntaxError
	)
	switch {
	case cberrors.IsRejected(err):
		return rejected
	case errors.As(err, &kratos):
		return strconv.Itoa(int(kratos.Code))
	case errors.As(err, &code):
		return code.GRPCStatus().Code().String()
	case errors.Is(err, context.Canceled):
		return cancelled
	case errors.As(err, &dns) && dns.IsNotFound:
		return noSuchHost
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return timedOut
	case errors.As(err, &trust):
		return notTrusted
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return reset
	case errors.Is(err, net.ErrClosed):
		return closedHere
	case errors.As(err, &syntax):
		return badJSON
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return brokenOff
	}
	// net/http has no types for these. Any other error is a failure, too.
	for text, class := range map[string]string{
		"stream error: ":                              brokenOff,
		"malformed HTTP ":                             noHTTP,
		"http2: frame too large":                      noHTTP,
		"http2: client conn could not be established": noHTTP,
		"http2: client connection force closed":       reset,
		"server closed idle connection":               idleClosed,
	} {
		if strings.Contains(err.Error(), text) {
			return class
		}
	}
	return err.Error()
}
