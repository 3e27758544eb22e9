package errors

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// FromGRPCHeader returns the error that a gRPC call over plain HTTP has ended with,
// by the header or the trailer of its response, in the form of grpc-go: nil for OK. It
// reports false if there is no Grpc-Status in h. One that is no number is Unknown.
func FromGRPCHeader(h http.Header) (isGRPC bool, err error) {
	v := h["Grpc-Status"]
	if len(v) == 0 {
		return false, nil
	}
	code, notANumber := strconv.ParseUint(v[0], 10, 32)
	if notANumber != nil {
		code = uint64(codes.Unknown)
	}
	if code == uint64(codes.OK) {
		return true, nil
	}
	message, broken := url.PathUnescape(h.Get("Grpc-Message"))
	if broken != nil {
		message = h.Get("Grpc-Message")
	}
	s := &spb.Status{Code: int32(code), Message: message}
	text := strings.TrimRight(h.Get("Grpc-Status-Details-Bin"), "=")
	if raw, broken := base64.RawStdEncoding.DecodeString(text); text != "" && broken == nil {
		details := new(spb.Status)
		if proto.Unmarshal(raw, details) == nil && details.GetCode() == s.GetCode() {
			s = details
		}
	}
	return true, status.ErrorProto(s)
}
