# Thermogen Zero. `make help` lists the targets; each sets itself up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

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
