# make says what there is to make.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The linter's version is the one make test uses.
GOLANGCI := $(shell sed -n 's/.*golangciLint = "\(.*\)"/\1/p' internal/verify/main.go)
BENCHSTAT := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# For make bench: which benchmarks, how often each, and where.
BENCH ?= .
COUNT ?= 3
PKG   ?= ./...

##@ Every day

.PHONY: unit
unit: ## The tests that need nothing installed: go test ./...
	go test ./...

.PHONY: test-short
test-short: unit ## The same as unit

.PHONY: fmt
fmt: ## Format every Go file
	gofmt -s -w .

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: lint
lint: ## golangci-lint, pinned; its rules and their reasons are in .golangci.yaml
	go run $(GOLANGCI) run

.PHONY: race
race: ## All tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race $(PKG)

.PHONY: demo
demo: ## A shop of services with real orders, live: kill them, rebuild a read model, check the books
	go run ./cmd/leftfold demo --check

##@ Before a push

.PHONY: test
test: ## Everything CI runs: format, vet, lint, tests with -race, examples, demo; a skipped test fails
	LEFTFOLD_TEST=all go run ./internal/verify

.PHONY: mermaid
mermaid: ## Read the golden event models with Mermaid's own parser (needs node and npm)
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix bin/mermaid @mermaid-js/parser@2.0.1
	node catalog/testdata/parse.mjs bin/mermaid catalog/testdata/*.mmd

.PHONY: torture
torture: ## The crash and loss tests at their full counts: ten times those of make test
	LEFTFOLD_TORTURE=1 go test -count=1 -timeout 0 -v $(PKG)

.PHONY: bench
bench: ## Benchmarks with medians: make bench BENCH=Append COUNT=10 PKG=./adapters/sqlite
	@mkdir -p bin
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) -timeout 0 $(PKG) | tee bin/bench.txt
	@echo "Medians; bin/bench.txt is what benchstat reads:"
	@go run $(BENCHSTAT) bin/bench.txt

.PHONY: compile
compile: ## How long the first compile of leftfold takes: an empty build cache, downloaded modules
	@cache=$$(mktemp -d); trap 'rm -rf "$$cache"' EXIT; go mod download && time GOCACHE=$$cache go build -o $$cache/leftfold ./cmd/leftfold

.PHONY: bench-peers
bench-peers: ## Beside other Go event stores on one Postgres; about 25 minutes, rewrites benchmarks/results.*
	cd benchmarks && go run .

##@ The rest

.PHONY: clean
clean: ## Remove what these targets made
	rm -rf bin coverage.out

.PHONY: help
help: ## Print this
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
