# Everything here works on a bare machine with Python 3.11 (or later) and make. Each target makes what it needs.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# How many times the usual examples a long run takes.
TIMES  ?= 10

.DEFAULT_GOAL := help
.PHONY: help install check test test-node test-browser soak demo serve bench clean

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install: $(VENV)/installed ## a virtual environment with everything, in .venv

$(VENV)/installed: pyproject.toml sdk/assay/_version.py
	@test -n "$(PYTHON)" || { echo "Assay needs Python 3.11 or later; name one with: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[collector,dev,peers]'
	@touch $@

check: $(VENV)/installed ## format, lint, types, and the floors of the house
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: $(VENV)/installed ## all tests
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

test-node: $(VENV)/installed ## the tests that send through Node clients; they need npm
	@cd tests/e2e/node && npm install --silent --no-package-lock --no-audit --no-fund --ignore-scripts
	$(BIN)/python -m pytest -q -m node tests/e2e

test-browser: $(VENV)/installed ## the tests that send through a browser; they need npm, and Chromium or Chrome
	@cd tests/e2e/browser && npm install --silent --no-package-lock --no-audit --no-fund --ignore-scripts && node find.js
	$(BIN)/python -m pytest -q -m browser tests/e2e

soak: $(VENV)/installed ## every property with TIMES=10 times its usual examples; takes long
	@echo "Each property with $(TIMES) times its usual examples, drawn anew; make soak TIMES=100 runs for hours"
	ASSAY_SOAK=$(TIMES) $(BIN)/python -m pytest -q -n auto --dist loadgroup -m 'hypothesis or soak'

demo: $(VENV)/installed ## a simulated product sends events through the SDK; who qualifies, and is it true?
	@$(BIN)/python -m examples.planboard.demo

serve: $(VENV)/installed ## a collector with the simulated product's plan and definitions
	@$(BIN)/assay serve --plan schemas/planboard/plan --definitions schemas/planboard/definitions

bench: $(VENV)/installed ## the benchmarks, each beside its baseline
	@$(BIN)/python benchmarks/run.py

clean: ## take away what was made
	rm -rf $(VENV) .venv-peers tests/e2e/node/node_modules tests/e2e/browser/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
