# .ci/run decides; most targets are steps of it.

FUZZTIME ?= 30s
ROUNDS   ?= 6
MUTATE   ?= ./sre ./internal/ledger
SAMPLE   ?= 0
SEED     ?= 1

.DEFAULT_GOAL := all

.PHONY: all
all: ## build, test and lint: while you work
	@.ci/run build test format vet lint

.PHONY: ci
ci: ## all that has to pass
	@.ci/run

.PHONY: test
test: ## the tests
	@.ci/run test

.PHONY: models
models: ## the random comparisons with naive models and aegis, 10000 histories each
	@.ci/run models

.PHONY: race
race: ## the tests under the race detector
	@.ci/run race

.PHONY: nested
nested: ## the tests of the nested modules: faults over real sockets, real scrapes, rivals
	@.ci/run nested

.PHONY: browser
browser: ## the page, in Chromium
	@.ci/run browser

.PHONY: lint
lint: ## gofmt, go vet, and golangci-lint, which installs itself
	@.ci/run format vet lint

.PHONY: tidy
tidy: ## whether go.mod and go.sum are as go mod tidy leaves them
	@.ci/run tidy

.PHONY: examples
examples: ## every program in examples/, to its end
	@.ci/run examples

.PHONY: fuzz-seeds
fuzz-seeds: ## the seeds of the fuzz tests
	go test -run '^Fuzz' ./...

.PHONY: fuzz
fuzz: ## each fuzz test for FUZZTIME (30s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "$$file $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit; \
		done; \
	done

.PHONY: bench
bench: ## beside every rival, and docs/benchmarks.md (10 minutes on a quiet machine)
	cd bench && GOWORK=off go run ./sidebyside -rounds $(ROUNDS)

.PHONY: scoreboard
scoreboard: ## measure all breakers and rivals in every scenario and write docs/scoreboard (20 minutes)
	cd bench && go test -count 1 -timeout 60m -run '^TestScoreboard_IsWrittenOnRequest$$' . -scoreboard ../docs/scoreboard

.PHONY: cover
cover: ## how much of each package the tests reach
	go test -coverpkg ./... -coverprofile cover.out ./...
	go tool cover -func cover.out

.PHONY: mutants
mutants: ## which changes of an operator in MUTATE no test notices: SAMPLE of each with SEED, or all (hours)
	@for package in $(MUTATE); do \
		.ci/mutants "$$package" $(SAMPLE) $(SEED) || failed=1; \
	done; test -z "$$failed"

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target about; do printf '%-12s %s\n' "$$target" "$$about"; done
