# `make help` lists the targets. Everything here works in a new clone; nothing needs to be run before `make run` or `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

SWIFT ?= swift
BIN := .build/release/sluice
CONFIG ?= sluice.yaml
VENV := .venv
PYTHON := $(VENV)/bin/python3
LOGS := .build-logs

# Where the conformance suites and the load generator are. Both are optional: what is not there is skipped, and said so.
CONFORMANCE ?= ../shared/conformance
BENCH ?= ../shared/bench
# The address of a broker to test instead of one that the target starts: make conformance HOST=10.0.0.5 PORT=1883 [WS_PORT=8083]
HOST ?=
PORT ?=
WS_PORT ?=
# The least share, in percent, of the MQTT suite that must pass; the rule vectors' shares stand in their own tests.
MQTT_MINIMUM := 90

FUZZ_SECONDS ?= 20
FUZZ_SEED ?=
ROWS ?=
BENCH_ARGS ?=
PYTEST_ARGS ?=
PYTEST_WORKERS ?= 2

SWIFT_SOURCES := Package.swift Sources Benchmarks Tests

.PHONY: setup
setup: ## install the missing Debian packages (packages.apt)
	@scripts/setup.sh build test

.PHONY: build
build: ## compile the optimised binary, .build/release/sluice
	@scripts/setup.sh build
	$(SWIFT) build -c release --product sluice

.PHONY: run
run: build ## build and start a broker on port 1883 with the rules in rules/
	@exec $(BIN) start --config $(CONFIG)

.PHONY: cluster-up cluster-down
cluster-up: build ## start three cores and a replicant on loopback (MQTT on 1883 to 1886)
	@BIN=$(BIN) scripts/cluster.sh up

cluster-down: ## end them; their data stays in .cluster/
	@scripts/cluster.sh down

.PHONY: test-build
test-build: # one release build that the unit tests, the integration tests and the conformance suites share
	@scripts/setup.sh build test
	timeout 3000 $(SWIFT) build -c release --build-tests

.PHONY: test
test: test-build $(VENV)/ready ## run all tests: unit, then integration against the real binary
	@mkdir -p $(LOGS)
	timeout 1200 $(SWIFT) test -c release --skip-build --no-parallel 2>&1 | tee $(LOGS)/unit.log
	timeout 1500 $(PYTHON) -m pytest Tests/Integration -n $(PYTEST_WORKERS) --junitxml=$(LOGS)/integration.xml $(PYTEST_ARGS)

.PHONY: conformance
ifeq ($(wildcard $(CONFORMANCE)/.),)
conformance: # (described below)
	@echo "conformance: skipped, there is no folder $(CONFORMANCE) (make conformance CONFORMANCE=…)"
else
conformance: rule-vectors $(VENV)/ready ## run the MQTT and rule-SQL suites of CONFORMANCE (default ../shared/conformance), if they are there
	@mkdir -p $(LOGS)
	timeout 1200 $(PYTHON) scripts/conformance.py "$(CONFORMANCE)/mqtt" --minimum $(MQTT_MINIMUM) \
	    --log-dir $(LOGS) $(if $(HOST)$(PORT),--host "$(or $(HOST),127.0.0.1)" --port "$(or $(PORT),1883)" --ws-port "$(or $(WS_PORT),0)")
endif

# The folder with the cases of the rule language: make rule-vectors DIR=…
DIR ?= $(CONFORMANCE)/rule-sql

.PHONY: rule-vectors
ifeq ($(wildcard $(DIR)/*.jsonl),)
rule-vectors: # (described below)
	@echo "rule-vectors: skipped, there are no cases in $(DIR) (make rule-vectors DIR=…)"
else
rule-vectors: test-build ## run the cases of the rule language in DIR (default: those of CONFORMANCE), if they are there
	@mkdir -p $(LOGS)
	RULE_VECTORS="$(abspath $(DIR))" timeout 600 \
	    $(SWIFT) test -c release --skip-build --filter 'Rule vectors' 2>&1 | tee $(LOGS)/rule-sql.log
endif

.PHONY: bench
ifeq ($(wildcard $(BENCH)/mqttload.c),)
bench: # (described below)
	@echo "bench: skipped, the load generator is not there: no $(BENCH)/mqttload.c (make bench BENCH=…)"
else
bench: ## measure beside Mosquitto with the generator in BENCH (ROWS="p2p-q0 …" BENCH_ARGS=--quick)
	@scripts/setup.sh build bench
	$(SWIFT) build -c release --product sluice
	python3 scripts/bench.py --generator "$(BENCH)" $(foreach row,$(ROWS),--only $(row)) $(BENCH_ARGS)
endif

.PHONY: bench-rules
bench-rules: ## measure what the evaluation of a rule costs (BENCH_ARGS=--json; `--only 'star small'`)
	@scripts/setup.sh build
	$(SWIFT) build -c release --product RuleBench
	@$(CC) -O2 -shared -fPIC -o .build/malloc_count.so scripts/malloc_count.c
	@MALLOC_COUNT_FILE=.build/malloc_count LD_PRELOAD=.build/malloc_count.so .build/release/RuleBench $(BENCH_ARGS)

.PHONY: fuzz
fuzz: test-build $(VENV)/ready ## throw mutated packets, rules and configurations at the binary for FUZZ_SECONDS
	FUZZ_SECONDS=$(FUZZ_SECONDS) timeout $$(( $(FUZZ_SECONDS) * 10 + 300 )) $(SWIFT) test -c release --skip-build --filter Fuzz
	timeout $$(( $(FUZZ_SECONDS) * 4 + 120 )) $(PYTHON) scripts/fuzz.py --seconds $(FUZZ_SECONDS) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED))

.PHONY: rules-test
rules-test: build ## check the rule files in rules/ and run their inline tests
	$(BIN) rules check rules/
	$(BIN) rules test rules/

.PHONY: functions-page
functions-page: build ## write docs/reference/functions.md, the page of the rule language's functions
	$(BIN) rules functions --markdown > docs/reference/functions.md

.PHONY: config-page
config-page: build ## write docs/reference/config.md, the page of the configuration's keys
	$(BIN) config reference --markdown > docs/reference/config.md

.PHONY: conformance-page
conformance-page: ## write docs/conformance.md: MQTT's statements, the code and the tests that bear their numbers
	@python3 scripts/conformance-page.py

.PHONY: check-imports
check-imports: ## compare the imports in the sources with the arrows in Package.swift
	@SWIFT="$(SWIFT)" python3 scripts/check-imports.py

.PHONY: format-check
format-check: ## say what `make format` would change
	@swift format lint --strict --parallel --recursive $(SWIFT_SOURCES)

.PHONY: format
format: ## rewrite the Swift sources in the house style
	@swift format format --in-place --parallel --recursive $(SWIFT_SOURCES)

.PHONY: ci
ci: ## everything: imports, format, build, tests, rules, conformance, a short fuzz
	@rm -rf $(LOGS)
	@$(MAKE) setup
	@$(MAKE) check-imports
	@$(MAKE) format-check
	@python3 scripts/conformance-page.py --check
	@$(MAKE) test
	$(BIN) rules check rules/
	$(BIN) rules test rules/
	@$(MAKE) conformance
	@$(MAKE) fuzz FUZZ_SECONDS=10
	@python3 scripts/ci-summary.py $(LOGS)

.PHONY: clean
clean: ## remove what was built and what the broker stored in data/
	rm -rf .build .build-* $(VENV) data

.PHONY: help
help: ## this list
	@echo "make TARGET, with one of:"
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r t d; do printf '  %-14s %s\n' "$$t" "$$d"; done

# The stamp is written last, so that an interrupted installation is done again.
$(VENV)/ready: Tests/Integration/requirements.txt
	@scripts/setup.sh test
	rm -rf $(VENV)
	python3 -m venv $(VENV)
	timeout 600 $(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
