# `make demo` starts a whole fleet on this machine, `make test` runs all tests; both work from an empty checkout.

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs audit sbom clean system tflite
SHELL := bash
# Where it is set, each of a thousand processes would compile every module that it imports.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --retries 10 --timeout 120

# Whole files go to each worker, in their order: those that start brokers, fleets and a browser come first and wait most.
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/.demo ## broker, controller, dashboard and five simulated devices; ARGS="--devices 8"
	@$(BIN)/edgewatt demo $(ARGS)

test: .venv/.dev tflite system ## all tests; ARGS="tests/test_cli.py -k gate", WORKERS=0 for one after the other
	@$(PYTEST) $(ARGS)

check: .venv/.dev tflite system ## what has to be clean before a commit: lint, format, types, tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(PYTEST) $(ARGS)

bench: .venv/.dev ## every benchmark, one table, JSON beside it
	@$(BIN)/python -m benchmarks $(ARGS)

docs: .venv/.dev ## write the generated reference pages
	@$(BIN)/python -m scripts.reference

audit: .venv/.demo .venv-audit/.made ## look the installed packages up in an advisory database (3: it did not answer)
	@.venv-audit/bin/python -m scripts.advisories .venv

sbom: .venv/.demo .venv-audit/.made ## the bill of materials of what is installed, as CycloneDX: build/edgewatt.cdx.json
	@mkdir -p build
	@.venv-audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON \
		-o build/edgewatt.cdx.json $(BIN)/python && echo build/edgewatt.cdx.json

clean: ## remove the environment and what tools left behind
	rm -rf .venv .venv-tflite .venv-audit build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

system:
	@bash scripts/system-packages

tflite: .venv/.dev
	@bash scripts/tflite-environment $(BIN)/python

# The stamps name what was installed, so that the second start is quick.
.venv/.demo: pyproject.toml | .venv/bin/python
	@echo "installing EdgeWatt with its demo (about a minute, once)"
	@$(PIP) -e '.[demo]'
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	@echo "installing EdgeWatt with its development tools and PyTorch (3 GB, some minutes, once)"
	@$(PIP) --no-compile -e '.[dev]'  # of 21,000 modules few are ever imported
	@touch $@ .venv/.demo

.venv-audit/.made: pyproject.toml | .venv/bin/python
	@$(BIN)/python -m venv .venv-audit
	@.venv-audit/bin/python -m pip --disable-pip-version-check install --quiet '.[audit]'
	@touch $@

.venv/bin/python:
	@test -n '$(PYTHON)' || { echo 'EdgeWatt needs Python 3.11 or newer: make PYTHON=/path/to/python'; exit 1; }
	@$(PYTHON) -m venv .venv || { echo 'no venv: apt-get install python3-venv'; rm -rf .venv; exit 1; }
