package selector_test

import (
	"context"
	"testing"

	kratos "github.com/go-kratos/kratos/v2/selector"

	"github.com/kratos-breaker/breaker/selector"
)

// A choice between as many nodes as Kratos offers by default.
func BenchmarkFilter(b *testing.B) {
	for name, dead := range map[string]bool{"all well": false, "one ejected": true} {
		b.Run(name, func(b *testing.B) {
			n, offered := selector.NewNodes(consecutive), nodesOf(25)
			for range 4 {
				var err error
				if dead {
					err = errDown
				}
				_, _ = n.Client()(chooses(address(0), nil, err))(kratos.NewPeerContext(context.Background(), new(kratos.Peer)), nil)
			}
			b.ReportAllocs()
			for b.Loop() {
				n.Filter(context.Background(), offered)
			}
		})
	}
}

func BenchmarkClient(b *testing.B) {
	node := kratos.NewNode("http", a, nil)
	call := selector.NewNodes().Client()(func(ctx context.Context, _ any) (any, error) {
		peer, _ := kratos.FromPeerContext(ctx)
		peer.Node = node
		return nil, nil
	})
	ctx := kratos.NewPeerContext(context.Background(), new(kratos.Peer))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = call(ctx, nil)
	}
}
