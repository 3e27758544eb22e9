// Breakerlint checks a file of rules for package config, and prints which rule
// each given operation gets.
//
//	breakerlint [flags] FILE [OPERATION...]
//	breakerlint -section circuitbreaker -kratos configs/ /pay.v1.Pay/Charge
//
// An operation is anything that a breaker has for a key; "grpc:" or "http:" in
// front of it says over which transport it is called, and without, the answer is
// given for both if they differ.
//
//	-section KEY   the rules are the value of this key of the file
//	-kratos        read the file, or all files of a directory, as a Kratos
//	               application does that has the environment for another source:
//	               placeholders are resolved
//	-env PREFIX    with -kratos: the prefix of the variables of the environment
//	-strict        take warnings for faults
//
// The exit code is 0 if the rules are valid, 1 if they are not or cannot be
// read, and 2 for wrong arguments.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	kratosconfig "github.com/go-kratos/kratos/v2/config"
	"github.com/go-kratos/kratos/v2/config/env"
	"github.com/go-kratos/kratos/v2/config/file"
	klog "github.com/go-kratos/kratos/v2/log"

	"github.com/kratos-breaker/breaker/config"
	"github.com/kratos-breaker/breaker/config/kratos"
)

func main() {
	klog.SetLogger(klog.NewFilter(klog.GetLogger(), klog.FilterLevel(klog.LevelFatal))) // the error says it, too
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("breakerlint", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: breakerlint [flags] FILE [OPERATION...]")
		flags.PrintDefaults()
	}
	section := flags.String("section", "", "the rules are the value of this `key` of the file")
	asKratos := flags.Bool("kratos", false, "read the file or directory as a Kratos application does, with placeholders")
	prefix := flags.String("env", "", "with -kratos: the `prefix` of the variables of the environment")
	strict := flags.Bool("strict", false, "take warnings for faults")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() == 0 || *prefix != "" && !*asKratos:
		flags.Usage()
		return 2
	}
	for _, operation := range flags.Args()[1:] {
		if strings.HasPrefix(operation, "-") { // package flag takes it for an operation
			fmt.Fprintf(stderr, "breakerlint: %s: want flags before the file\n", operation)
			return 2
		}
	}
	set, err := read(flags.Arg(0), *section, *asKratos, *prefix)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	warnings := set.Warnings()
	for _, w := range warnings {
		fmt.Fprintln(stderr, "warning:", w)
	}
	for _, operation := range flags.Args()[1:] {
		show(stdout, set, operation)
	}
	if *strict && len(warnings) > 0 {
		return 1
	}
	return 0
}

// read returns the set in a file or directory.
func read(path, section string, asKratos bool, prefix string) (*config.Set, error) {
	source := config.File(path)
	if asKratos {
		sources := []kratosconfig.Source{file.NewSource(path), env.NewSource()}
		if prefix != "" {
			sources[1] = env.NewSource(prefix)
		}
		c := kratosconfig.New(kratosconfig.WithSource(sources...))
		if err := c.Load(); err != nil {
			return nil, fmt.Errorf("breakerlint: %s: %w", path, err)
		}
		defer func() { _ = c.Close() }()
		source = kratos.Source(c)
	}
	if section != "" {
		source = source.Section(section)
	}
	return source.Read()
}

// show prints the rule of an operation, for each transport that has its own.
func show(w io.Writer, set *config.Set, operation string) {
	for _, transport := range []string{"http", "grpc"} {
		if key, ok := strings.CutPrefix(operation, transport+":"); ok {
			fmt.Fprintln(w, operation, line(set.Match(transport, key)))
			return
		}
	}
	http, grpc := set.Match("http", operation), set.Match("grpc", operation)
	if http == grpc {
		fmt.Fprintln(w, operation, line(http))
		return
	}
	fmt.Fprintln(w, "http:"+operation, line(http))
	fmt.Fprintln(w, "grpc:"+operation, line(grpc))
}

func line(m config.Match) string { return "-> " + m.Rule + " " + m.Settings }
