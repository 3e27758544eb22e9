// Program links all packages that link no Kratos v2, beside a file of protobuf that
// has the name of one of Kratos: v2 registers it, and so does v3.
package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/kratos-breaker/breaker"
	_ "github.com/kratos-breaker/breaker/api/breaker/conf/v1"
	_ "github.com/kratos-breaker/breaker/circuit"
	_ "github.com/kratos-breaker/breaker/config"
	_ "github.com/kratos-breaker/breaker/dashboard"
	_ "github.com/kratos-breaker/breaker/errors"
	_ "github.com/kratos-breaker/breaker/group"
	_ "github.com/kratos-breaker/breaker/kratosv1/breaker"
	_ "github.com/kratos-breaker/breaker/logging"
	_ "github.com/kratos-breaker/breaker/metrics"
	_ "github.com/kratos-breaker/breaker/middleware/endpoint"
	_ "github.com/kratos-breaker/breaker/sre"
	_ "github.com/kratos-breaker/breaker/transport/grpc"
	_ "github.com/kratos-breaker/breaker/transport/http"
)

func main() {
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("errors/errors.proto"), Package: proto.String("errors"),
	}, nil)
	if err != nil {
		panic(err)
	}
	// As generated code does when a program starts.
	if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
		panic(err)
	}
	fmt.Println("started with", breaker.Closed)
}
