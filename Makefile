# make help lists the targets.

.DEFAULT_GOAL := build
FUZZTIME ?= 30s
IMAGE    ?= tenant-provisioner
GO_IMAGE ?= golang:1.26
COMPOSE  ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
CREATED  ?= $(shell git log -1 --format=%cI 2>/dev/null)
LINT     := go tool -modfile=.ci/tools.mod golangci-lint
ACTIONS  := go tool -modfile=.ci/actions.mod actionlint
VULNDB   ?= https://vuln.go.dev
# Select what make test runs: make test PACKAGES=./events RUN=Decode TIMEOUT=5m
PACKAGES ?= ./...
RUN      ?=
# The limit of a package only ends one that hangs: on a slow machine, beside make soak and a build, it has taken more than
# 45 minutes.
TIMEOUT  ?= 90m
# How often make stress runs the tests.
N        ?= 5
# The version that make upgrade-test starts with: the last release before this commit, or else the last commit without
# releases. It needs the history: a shallow clone lacks it.
FROM     ?= $(shell git describe --tags --abbrev=0 HEAD^ 2>/dev/null || echo 2e356a3ca5da4b5712cb499a83d7301cdd321062)
# Not instrumented by the race detector: SQLite, which is C translated to Go, and the compiler of WebAssembly, which need
# half of the processor time then. Only packages without generic code of sync and sync/atomic: the linker keeps one copy
# of that, and all would use one that the detector does not see.
WAZEVO    := github.com/tetratelabs/wazero/internal/engine/wazevo
UNCHECKED := -gcflags=modernc.org/...=-d=checkptr=0 $(addsuffix =-race=false,$(addprefix -gcflags=,modernc.org/sqlite/lib \
  $(WAZEVO)/ssa $(WAZEVO)/frontend $(WAZEVO)/backend/...))
VULN     := go tool -modfile=.ci/tools.mod govulncheck

.PHONY: help build demo test stress test-external soak upgrade-test recovery-drill bench fuzz lint vuln fmt tidy-check docs dependencies licenses chart-check asyncapi image release release-check up down

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' Makefile

build: ## build bin/consumer, static
	CGO_ENABLED=0 go build -trimpath -o bin/consumer ./cmd/consumer

demo: build ## run the whole path in one process, nothing else needed
	bin/consumer demo --init-scripts deploy/init-scripts/orders --seed-data deploy/seed-data

test: ## run all tests, with the race detector; installs what they need, if it may
	.ci/test $(UNCHECKED) -shuffle=on -parallel 4 -timeout $(TIMEOUT) $(if $(RUN),-run '$(RUN)') $(PACKAGES)

stress: ## run make test N times, beside one busy loop per core: about 10 minutes each
	.ci/stress $(N)

test-external: ## run the tests with other programs: Chromium, Prometheus, systemd-analyze
	.ci/setup go test external
	CGO_ENABLED=1 go test -race $(UNCHECKED) -tags external -run External -timeout 15m ./...

soak: ## run the long tests: about 40 minutes, on a busy machine up to two hours
	CGO_ENABLED=1 go test -race $(UNCHECKED) -tags soak -run Soak -v -timeout 120m ./cmd/consumer ./internal/handler

upgrade-test: ## upgrade from the version FROM under load, kill it at every point, and go back: about 10 minutes
	CGO_ENABLED=1 FROM=$(FROM) go test -race $(UNCHECKED) -tags upgrade -run Upgrade -v -timeout 60m ./cmd/consumer

# Every test that docs/recovery.md names.
DRILL = $(shell grep -oh '`Test[A-Za-z]*`' docs/recovery.md | tr -d '`' | sort -u | paste -sd '|' -)

recovery-drill: ## play every situation of docs/recovery.md: some minutes
	CGO_ENABLED=1 go test -race $(UNCHECKED) -v -timeout 60m -run '^($(DRILL))$$' ./cmd/consumer ./internal/handler ./internal/sql

bench: ## measure ratios against the bare work, side by side: about 20 minutes, 10 GB of disk; writes docs/benchmarks; DOCEX=python: beside DocEX
	go test -tags bench -count=1 -timeout 120m -run '^TestBench$$' -v ./internal/bench -args -out "$(CURDIR)/docs/benchmarks" \
		$(if $(DOCEX),-docex "$(DOCEX)")
	go test -run '^$$' -bench . -benchmem ./events ./internal/pipeline ./internal/sql/...

# go test -fuzz takes one target of one package at a time.
fuzz: ## run every fuzz target for FUZZTIME
	@set -e; grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file"); do \
			echo "$$target in $$(dirname "$$file")"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null; \
		done; \
	done

lint: ## run linters, check formatting and workflows; the first run builds the linter, which takes minutes
	$(LINT) run
	$(ACTIONS) -shellcheck= -pyflakes= .github/workflows/*.yml

vuln: ## find known vulnerabilities in the code that the program calls, by the database at VULNDB
	$(VULN) -db $(VULNDB) ./...

fmt: ## format the sources
	$(LINT) fmt

tidy-check: ## fail if go mod tidy would change a go.mod or go.sum
	go mod tidy -diff
	go -C .ci/release mod tidy -diff
	go -C .ci/chart mod tidy -diff
	go -C .ci/licenses mod tidy -diff
	# The modules of tools contain no package of this repository: they are tidied in a separate directory.
	for module in tools nats actions; do \
		dir=$$(mktemp -d) && cp .ci/$$module.mod "$$dir/go.mod" && cp .ci/$$module.sum "$$dir/go.sum" && \
		go -C "$$dir" mod tidy -diff && rm -r "$$dir" || exit; \
	done

docs: ## write docs/configuration.md from the source, and the parts of the Helm chart that have another source
	go run ./cmd/consumer config --markdown > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	go -C .ci/chart run . "$(CURDIR)"

chart-check: ## render the Helm chart with helm's own library and check it; the first run builds the library, which takes minutes
	go -C .ci/chart vet ./...
	go -C .ci/chart test ./...

dependencies: ## measure what each dependency costs; writes docs/dependencies.md
	go -C .ci/costs run .

licenses: ## write NOTICE and the files of internal/licenses, after a change of the dependencies
	go -C .ci/licenses run . "$(CURDIR)"

asyncapi: ## check docs/asyncapi.yaml against the official schema; ASYNCAPI_SCHEMA names a copy of it
	go test -count=1 -tags asyncapi -run OfficialSchema ./internal/doctest

image: ## build the container image
	docker build --build-arg GO_IMAGE=$(GO_IMAGE) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg CREATED=$(CREATED) -t $(IMAGE) .

release: ## build dist from the commit: archives, .deb and .rpm for Linux on amd64 and arm64, the image, checksums
	go -C .ci/release run . "$(CURDIR)"

release-check: ## build the release twice, in different places, and compare; takes minutes
	FRESH=1 .ci/release-check

up: ## start NATS, PostgreSQL and the program in containers, on ports of the loopback address
	$(COMPOSE) up --build --detach

down: ## stop and remove these containers; their data stays (docker volume ls)
	$(COMPOSE) down
