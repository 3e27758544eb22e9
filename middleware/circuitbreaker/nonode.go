package circuitbreaker

import (
	"context"

	"github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/transport"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker/internal/fault"
)

// noNode reports whether a call failed since Kratos' own client found no node to
// send it to. A backend that relays the same error of its own client sends the same
// words, so the error does not tell. But then there was a node, or an answer.
func noNode(ctx context.Context, err error) bool {
	if !saysNoNode(err) {
		return false
	}
	peer, ok := selector.FromPeerContext(ctx)
	if !ok || peer == nil || peer.Node != nil {
		return false
	}
	if tr, ok := transport.FromClientContext(ctx); ok {
		if h := tr.ReplyHeader(); h != nil && len(h.Keys()) > 0 {
			return false
		}
	}
	return true
}

func saysNoNode(err error) bool {
	return fault.Of(err, noNodes{}) == fault.Ignored
}

// noNodes looks for an answer that says so.
type noNodes struct{}

func (noNodes) Look(err error) (fault.Verdict, bool) {
	if fault.IsNil(err) {
		return fault.Failure, true
	}
	switch e := err.(type) { //nolint:errorlint // fault.Of unwraps
	case fault.Coded:
		return ignoredIf(e.GetCode() == 503 && isNoNode(e.GetReason())), true
	case interface{ GRPCStatus() *status.Status }:
		s := e.GRPCStatus()
		return ignoredIf(s.Code() == codes.Unavailable && s.Message() == "" && isNoNode(reasonOf(s))), true
	}
	return fault.Unknown, false
}

func ignoredIf(yes bool) fault.Verdict {
	if yes {
		return fault.Ignored
	}
	return fault.Failure
}

func isNoNode(reason string) bool { return reason == "NODE_NOT_FOUND" || reason == "no_available_node" }

func reasonOf(s *status.Status) string {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
