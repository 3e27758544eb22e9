// Package config makes breakers by rules from a file, and changes them while
// calls run. There is a default, and a list of rules of which the first that
// matches a call applies; a rule says which algorithm decides, with which
// options, in which mode, and what errors mean. docs/config.md has every field.
//
//	rules, err := config.Load(config.File("breakers.yaml"))
//	go rules.Follow(ctx)
//	circuitbreaker.Client(circuitbreaker.WithRules(rules))
//
// Rules are YAML or JSON, in a file of their own, in a section of a larger one or
// of the configuration of a Kratos application (config/kratos), or a protobuf message. All of
// them go through one validation, which corrects nothing and tells all faults at
// once.
//
// Breakers change in place. They keep their totals and their mode, their counts
// if the window keeps its shape, and their state: no change closes an open
// breaker, except another algorithm, which begins closed. Rules that are not valid
// change nothing.
package config
