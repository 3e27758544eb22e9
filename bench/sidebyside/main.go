// Command sidebyside runs the benchmarks of this module and of its rivals in
// turns, and writes docs/benchmarks.md with what came of it.
//
//	go run ./sidebyside                   measures all, in 10 minutes
//	go run ./sidebyside -rounds 3         in 5 minutes, with more noise
//	go run ./sidebyside -only '^Closed/'  measures some, and prints them
//	go run ./sidebyside -document         writes the documents of the last results again
//	go run ./sidebyside -guard            fails if a ratio is worse than in the last results, or a call is rejected
//	go run ./sidebyside -processors       compares a call of sre on two processors with one on one
//
// It is run in the directory of the module bench, on a machine with nothing else
// to do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sidebyside:", err)
		os.Exit(1)
	}
}

const resultsFile = "benchmarks/results.json"

func run() error {
	rounds := flag.Int("rounds", 6, "how often each benchmark is run")
	length := flag.Duration("slice", 60*time.Millisecond, "how long each time")
	only := flag.String("only", "", "measure the benchmarks that match, and print the document")
	out := flag.String("docs", "../docs", "directory of the documents")
	guards := flag.Bool("guard", false, "compare some ratios with those that were written down")
	processors := flag.Bool("processors", false, "compare a call of sre on two processors with one on one, and print that")
	again := flag.Bool("document", false, "write the documents of the results that are there")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *length <= 0 {
		return errors.New("want no arguments, and a number of rounds and a slice above 0")
	}
	if *again {
		r, err := load(filepath.Join(*out, resultsFile))
		if err != nil {
			return err
		}
		return write(*out, r)
	}
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := newSuite(ctx)
	if err != nil {
		return err
	}
	defer s.remove()
	if err := s.check(); err != nil {
		return err
	}
	if *processors {
		return s.processors(ctx, os.Stdout)
	}
	if *guards {
		r, err := load(filepath.Join(*out, resultsFile))
		if err != nil {
			return fmt.Errorf("there is nothing to compare with (make bench writes it): %w", err)
		}
		return s.guard(ctx, os.Stdout, r.Guard)
	}
	r := &results{Machine: thisMachine(), Rounds: *rounds, Slice: length.String()}
	if r.Versions, err = versions(); err != nil {
		return err
	}
	if r.Measured, err = s.measure(ctx, chosen, *rounds, *length); err != nil {
		return err
	}
	if *only != "" {
		_, err := os.Stdout.Write(document(r))
		return err
	}
	if r.Guard, err = s.ratios(ctx, guarded, guardRounds); err != nil {
		return err
	}
	if r.Headline, err = headline(r); err != nil {
		return err
	}
	return write(*out, r)
}

// write writes the results, the document and the charts. It fails if a row is
// behind and there is no reason for it.
func write(docs string, r *results) error {
	files := map[string][]byte{"benchmarks.md": document(r), resultsFile: r.encode()}
	for _, t := range tables {
		files[t.chart()] = draw(r, t)
	}
	for name, content := range files {
		name = filepath.Join(docs, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("The README should say:\n\n%s\n", r.Headline)
	return unexplained(r)
}
