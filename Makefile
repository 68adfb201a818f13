# Signbus: everything that is run by hand or by CI. `make help` lists it.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory
.NOTPARALLEL:

# `make build`, `run` and `demo` need Go and nothing else; the race detector of
# `make test` needs a C compiler as well.
GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS     := -s -w -X signbus.dev/pkg/service.Version=$(VERSION)

# Pinned tools. A new version builds anew; tools/pins_test.go keeps the pins equal
# to go.mod, docker-compose.yml and deploy/Dockerfile.
GOLANGCI_LINT_VERSION := v2.15.0
NATS_SERVER_VERSION   := v2.15.2
NATS_CLI_VERSION      := v0.5.1
PDFCPU_VERSION        := v0.15.0

TOOLS       := $(CURDIR)/.tools
TOOLBIN     := $(TOOLS)/bin
GOLANGCI    := $(TOOLBIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
NATS_SERVER := $(TOOLBIN)/nats-server-$(NATS_SERVER_VERSION)
NATS_CLI    := $(TOOLBIN)/nats-$(NATS_CLI_VERSION)
PDFCPU      := $(TOOLBIN)/pdfcpu-$(PDFCPU_VERSION)
export PATH := $(TOOLBIN):$(PATH)

# Folders with npm packages that the tests use as foreign clients and validators.
NPM_STAMPS  := $(patsubst %/package-lock.json,%/node_modules/.installed,$(wildcard e2e/*/package-lock.json schemas/*/package-lock.json scripts/*/*/package-lock.json))

# Packages whose tests are too slow under the race detector; they run without it.
NORACE      ?= ^$$
FUZZTIME    ?= 10s
BENCHTIME   ?= 3s
TESTFLAGS   ?=

##@ Use it

.PHONY: demo
demo: build ## From clone to a signed PDF in ./out: needs Go alone
	@$(GO) run ./scripts/demo

.PHONY: run
run: build ## The bus on this machine until stopped: HTTP 127.0.0.1:8080, NATS 127.0.0.1:4222, data in ./data
	@bin/signbus run --dev

.PHONY: build
build: ## bin/signbus and one binary for each service
	@mkdir -p bin
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./services/*/cmd/*

.PHONY: build-pkcs11
build-pkcs11: ## bin/signbus-pkcs11, which signs with tokens; needs a C compiler
	@mkdir -p bin
	@CGO_ENABLED=1 $(GO) build -tags pkcs11 -trimpath -ldflags '$(LDFLAGS)' -o bin/signbus-pkcs11 ./services/standalone/cmd/signbus

##@ Check it

.PHONY: test
test: tools lint test-unit test-e2e ## Every test, lint included; installs or names what it needs

.PHONY: test-unit
test-unit: ## The tests of the module, with the race detector where that is affordable
	@echo '== unit tests (race detector)'
	@$(GO) test -race -timeout 20m $(TESTFLAGS) $$($(GO) list ./... | grep -Ev '$(NORACE)')
	@slow="$$($(GO) list ./... | grep -E '$(NORACE)' || true)"; \
	if [ -n "$$slow" ]; then echo '== unit tests (without race detector)'; $(GO) test -timeout 20m $(TESTFLAGS) $$slow; fi
	@echo '== unit tests (PKCS #11)'
	@CGO_ENABLED=1 $(GO) test -tags pkcs11 -run Token -timeout 20m $(TESTFLAGS) ./pkg/sign/keys ./services/standalone/cli

# -count=1: the test cache does not see that the binaries have changed.
.PHONY: test-e2e
test-e2e: build ## The black-box tests on the built binaries, in all three shapes
	@echo '== end-to-end tests'
	@cd e2e && SIGNBUS_E2E_BIN=$(CURDIR)/bin $(GO) test -count=1 -timeout 45m $(TESTFLAGS) ./...

.PHONY: lint
lint: $(GOLANGCI) ## The linters, the same as in CI
	@echo '== lint'
	@$(GOLANGCI) run ./...
	@$(GOLANGCI) run --build-tags pkcs11 ./pkg/sign/keys ./services/standalone/cli
	@cd e2e && $(GOLANGCI) run ./...

.PHONY: fmt
fmt: $(GOLANGCI) ## Format the code and apply the fixes that linters know
	@$(GOLANGCI) fmt ./...
	@$(GOLANGCI) run --fix ./... || true
	@cd e2e && $(GOLANGCI) fmt ./... && { $(GOLANGCI) run --fix ./... || true; }

.PHONY: cover
cover: ## Test coverage of the module: a summary here, the pages in out/cover.html
	@mkdir -p out
	@$(GO) test -timeout 20m -coverpkg=./pkg/...,./services/... -coverprofile=out/cover.out ./...
	@$(GO) tool cover -html=out/cover.out -o out/cover.html
	@$(GO) tool cover -func=out/cover.out | tail -1

.PHONY: bench
bench: build $(NATS_SERVER) ## Speed and memory, ours beside the raw parts, in one run
	@$(GO) run ./scripts/bench -bin bin/signbus -nats-server $(NATS_SERVER) -time $(BENCHTIME)

.PHONY: bench-sign
bench-sign: scripts/bench-sign/js/node_modules/.installed ## Signatures beside the limit and foreign signers, at 50 KB, 5 MB and 500 MB
	@$(GO) run ./scripts/bench-sign -time $(BENCHTIME)
	@echo; echo 'Placement, appearance and preview:'
	@$(GO) test -run '^$$' -bench 'Prepare|Appearance' -benchmem -cpu 1 ./pkg/pdf ./pkg/pdf/stamp

.PHONY: bench-packages
bench-packages: ## The benchmarks that lie beside the code
	@$(GO) test -run '^$$' -bench . -benchmem -timeout 30m $$(grep -rlE --include='*_test.go' '^func Benchmark' pkg services schemas | xargs -n1 dirname | sort -u | sed 's#^#./#')

.PHONY: fuzz
fuzz: ## Each fuzz target for FUZZTIME (10s)
	@FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

.PHONY: corpus
corpus: build packages ## Sign every PDF in the test suites of other PDF software, from Debian's sources
	@scripts/corpus.sh

##@ Tools

.PHONY: tools
tools: packages $(GOLANGCI) $(NATS_SERVER) $(NATS_CLI) $(PDFCPU) $(NPM_STAMPS) ## Install, or name, what tests and lint need

.PHONY: packages
packages:
	@scripts/install-packages.sh
	@scripts/install-node.sh

# Each Go tool is kept under its version, and a link without the version points to it.
define go-tool
	@echo 'installing $(notdir $@), built from source (up to two minutes the first time)'
	@mkdir -p $(TOOLBIN) $(TOOLS)/build
	@CGO_ENABLED=0 GOFLAGS= GOBIN=$(TOOLS)/build $(GO) install -trimpath -ldflags '-s -w' $(1)
	@mv $(TOOLS)/build/$(2) $@
	@ln -sf $(notdir $@) $(TOOLBIN)/$(2)
endef

$(GOLANGCI):
	$(call go-tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION),golangci-lint)

$(NATS_SERVER):
	$(call go-tool,github.com/nats-io/nats-server/v2@$(NATS_SERVER_VERSION),nats-server)

$(NATS_CLI):
	$(call go-tool,github.com/nats-io/natscli/nats@$(NATS_CLI_VERSION),nats)

$(PDFCPU):
	$(call go-tool,github.com/pdfcpu/pdfcpu/cmd/pdfcpu@$(PDFCPU_VERSION),pdfcpu)

%/node_modules/.installed: %/package.json %/package-lock.json
	@echo 'installing npm packages in $*'
	@cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

.PHONY: clean
clean: ## Remove what was built (not ./data, not the installed tools)
	@rm -rf bin out

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
