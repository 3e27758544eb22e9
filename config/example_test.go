package config_test

import (
	"context"
	"fmt"

	kratosconfig "github.com/go-kratos/kratos/v2/config"
	"github.com/go-kratos/kratos/v2/config/env"
	"github.com/go-kratos/kratos/v2/config/file"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	khttp "github.com/go-kratos/kratos/v2/transport/http"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
	"github.com/kratos-breaker/breaker/config/kratos"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

// The samples of docs/config.md.

func docsFile(ctx context.Context, httpAddr, grpcAddr string) error {
	rules, err := config.Load(config.File("breakers.yaml"))
	if err != nil {
		return err // all that is wrong with the file, a line each
	}
	go rules.Follow(ctx) // applies changes of the file until ctx is done

	overHTTP, err := khttp.NewClient(ctx, khttp.WithEndpoint(httpAddr),
		khttp.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithRules(rules))))
	if err != nil {
		return err
	}
	overGRPC, err := kgrpc.DialInsecure(ctx, kgrpc.WithEndpoint(grpcAddr),
		kgrpc.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithRules(rules))))
	_, _ = overHTTP, overGRPC
	return err
}

func docsKratos(ctx context.Context) error {
	c := kratosconfig.New(kratosconfig.WithSource(file.NewSource("configs"), env.NewSource("APP_")))
	if err := c.Load(); err != nil {
		return err
	}
	rules, err := config.Load(kratos.Source(c).Section("circuitbreaker"))
	if err != nil {
		return err
	}
	go rules.Follow(ctx)
	return nil
}

func Example() {
	set, err := config.Parse([]byte(`
default: {sre: {success: 0.5}}
rules:
- {match: /pay.v1.Pay/*, algorithm: circuit, circuit: {consecutive_failures: 3}}
`), config.YAML)
	if err != nil {
		fmt.Println(err)
		return
	}
	rules := config.New(set)
	b := rules.Breaker("grpc", "/pay.v1.Pay/Charge")
	for range 3 {
		if p, err := b.Acquire(); err == nil {
			p.Done(breaker.Failure)
		}
	}
	fmt.Println(b.Snapshot().State, b.Snapshot().Rule)
	// Output: open rules[0] /pay.v1.Pay/* (circuit)
}

func ExampleParse_invalid() {
	_, err := config.Parse([]byte(`{default: {sre: {success: 1.5, windw: 3s}}, rules: [{match: /x, mode: dryrun}]}`), config.YAML)
	fmt.Println(err)
	// Output:
	// default.sre.success: 1.5, want a number in [0.000001, 1]
	// default.sre.windw: unknown field, did you mean "window"?
	// rules[0].mode: "dryrun", want auto, force-open, force-closed or dry-run; did you mean "dry-run"?
}
