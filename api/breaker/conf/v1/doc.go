// Package conf is the protobuf message of the rules that package config reads,
// to be a field of a Kratos conf.proto:
//
//	import "breaker/conf/v1/rules.proto";
//	message Bootstrap { breaker.conf.v1.Rules circuitbreaker = 3; }
//
// Package config makes rules of it with FromProto.
package conf

//go:generate protoc -I ../../.. --go_out=../../.. --go_opt=paths=source_relative breaker/conf/v1/rules.proto
