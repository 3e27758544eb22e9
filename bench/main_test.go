package bench_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/go-kratos/kratos/v2/log"
	"github.com/zeromicro/go-zero/core/logx"
	"google.golang.org/grpc/grpclog"
)

var (
	list       = flag.Bool("contenders", false, "print the names of all benchmarks and exit")
	processors = flag.Bool("processors", false, "compare calls on one and on two processors and exit")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *list {
		for _, t := range tables {
			for _, r := range t.rows {
				for _, c := range r.contenders {
					fmt.Printf("%s/%s/%s\n", t.name, r.name, c.name)
				}
			}
		}
		os.Exit(0)
	}
	// go-zero writes a line for each rejection, Kratos' and gRPC's servers when
	// they come and go.
	logx.Disable()
	log.SetLogger(log.NewStdLogger(io.Discard))
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	if *processors {
		measureProcessors()
		os.Exit(0)
	}
	os.Exit(m.Run())
}
