# Slipway. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO ?= go
BIN := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Tests wait for servers, not for the CPU: more of them at once than cores would only make each late.
PARALLEL ?= 2

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use

.PHONY: demo
demo: build controlplane ## The real controller, API server and scheduler, and a fake AWS: watch it work, then see the numbers (DEMO_KEEP=1 leaves it running)
	@$(BIN)/demo --bin $(BIN) $(if $(DEMO_KEEP),--keep)

.PHONY: build
build: ## Build slipway, fakeaws and the demo into bin/
	@mkdir -p $(BIN)
	@for program in ./cmd/slipway ./cmd/fakeaws ./test/demo; do echo "building $$program"; \
	  CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(BIN)/ $$program; done

.PHONY: image
image: ## Build the container images of slipway and fakeaws into bin/image, without Docker (PLATFORMS=linux/amd64,linux/arm64 PUSH=registry/path publishes, PROGRAMS=slipway makes one)
	cd image && $(GO) run . -out ../$(BIN)/image -version $(VERSION) -revision "$$(git rev-parse HEAD 2>/dev/null || true)" \
	  -epoch "$$(git log -1 --format=%ct 2>/dev/null || echo 0)" $(if $(PROGRAMS),-programs $(PROGRAMS)) $(if $(PLATFORMS),-platforms $(PLATFORMS)) $(if $(PUSH),-push $(PUSH))

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver, kube-scheduler and kube-controller-manager into one program (about 10 minutes on 2 cores, once)
	@$(GO) run ./test/cluster/build

##@ Check

.PHONY: test
test: controlplane build ## Every test, with the race detector: unit, property, and integration on a real control plane
	$(GO) test -race -short -shuffle=on -p $(PARALLEL) -timeout 20m ./...
	$(GO) test -run Crash ./pkg/provisioner/claim
	cd image && $(GO) test ./...
	@$(MAKE) --no-print-directory e2e E2E_CLUSTER=embedded
	@$(MAKE) --no-print-directory judge

E2E_CLUSTER ?= kind
.PHONY: e2e
e2e: $(if $(filter embedded,$(E2E_CLUSTER)),controlplane build,image) ## Install the chart as a user does and tell users' stories, on kind or without Docker (E2E_CLUSTER=embedded; E2E='-run TestE2E/together' tells some, E2E_KEEP=1 leaves the cluster)
	cd test/e2e && $(GO) vet . && E2E_CLUSTER=$(E2E_CLUSTER) $(GO) test -count=1 -timeout 30m $(if $(E2E),-v) . $(E2E)

.PHONY: judge
judge: ## kube-scheduler's own plugins judge decisions about drawn clusters (JUDGE='-worlds 20000 -seed 7' for more, or for a seed again)
	cd test/judge && $(GO) vet . && $(GO) test -timeout 60m . $(JUDGE)

.PHONY: unit
unit: ## The tests that need no control plane, quickly
	$(GO) test $$($(GO) list ./pkg/... ./cmd/... .)

.PHONY: fuzz
fuzz: ## Each fuzz target for FUZZTIME (10s)
	@for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -rhoE '^func Fuzz[A-Za-z0-9_]+' $$pkg/*_test.go | awk '{print $$2}'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(or $(FUZZTIME),10s) $$pkg; done; done

.PHONY: replay
replay: ## Weeks of arrivals of a production cluster, against Karpenter's policy (SLIPWAY_TRACES=directory of the openb trace; about 10 minutes)
	$(GO) run ./test/replay -out test/bench/out/arrivals.json -svg docs/img/arrivals.svg

.PHONY: bench
bench: ## Slipway beside Karpenter on the same pods, and the tables and plots of docs/benchmarks.md (SLIPWAY_TRACES=DIR adds the openb mixes; BENCH='-pods 100 -only openb' runs less)
	cd test/bench && $(GO) run . -page ../../docs/benchmarks.md $(BENCH)
	@if test -n "$(SLIPWAY_TRACES)"; then $(MAKE) --no-print-directory replay; else echo "SLIPWAY_TRACES is not set: no arrivals are played"; fi

.PHONY: microbench
microbench: ## Go benchmarks of the solver and the planner
	$(GO) test -run '^$$' -bench . -benchmem ./pkg/binpack/... ./pkg/provisioner/...

.PHONY: lint
lint: ## gofmt, vet, staticcheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not gofmt-ed:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	cd test/bench && $(GO) vet ./...
	cd image && $(GO) vet ./...
	cd test/chart && $(GO) vet ./...
	cd test/e2e && $(GO) vet ./...
	cd test/terraform && $(GO) vet ./...

.PHONY: docs
docs: ## Write docs/reference and the tables of docs/migrate.md from the code
	$(GO) run ./docs/generate

.PHONY: generate
generate: ## Write what is generated: deep copies, CRDs, RBAC, the catalogue's embedded facts stay as they are
	$(GO) generate ./pkg/apis/v1alpha1 ./pkg/apis/karpenterv1alpha5 ./pkg/provisioner/...

.PHONY: verify
verify: generate docs ## Fail if anything generated or go.mod differs from what is checked in
	$(GO) mod tidy
	cd test/controlplane && $(GO) mod tidy
	cd test/judge && $(GO) mod tidy
	cd test/bench && $(GO) mod tidy
	cd image && $(GO) mod tidy
	cd test/chart && $(GO) mod tidy
	cd test/e2e && $(GO) mod tidy
	cd test/terraform && $(GO) mod tidy
	cd test/chart && $(GO) test ./...
	cd test/terraform && $(GO) test ./...
	cd test/bench && $(GO) test ./...
	@git diff --exit-code -- . || { echo "generated files are stale: run make generate docs, go mod tidy, and commit"; exit 1; }

.PHONY: clean
clean: ## Remove bin/
	rm -rf $(BIN)
