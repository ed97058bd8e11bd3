# The two that matter: `make demo` measures and shows, `make test` checks everything.
# PYTHON chooses the interpreter that .venv is made with: PYTHON=python3.12 make demo
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install demo test bench check lint fix wheel clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

install: ## .venv with pinned versions, engines and development tools
	@$(PYTHON) scripts/install.py --dev

demo: ## install, run every suite in its demo size, write reports/demo/index.html
	@$(PYTHON) scripts/install.py
	@$(BIN)/slmbench demo

test: install check ## install, all checks, all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered

bench: install ## every benchmark, about half an hour on 2 cores; leave the machine alone meanwhile
	@for name in startup overhead report_time adaptive precision_rule scoring_speed interference; do \
		echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

check: lint ## lint, types, import contracts, generated files
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/python scripts/make_docs.py --check

lint: ## format, lint and size, a few seconds
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/python scripts/check_size.py

fix: ## format, repair what can be repaired, rewrite docs/metrics.md and suites/schema/
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format --quiet
	@$(BIN)/python scripts/make_docs.py

wheel: ## dist/*.whl, suites included
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove what tools leave behind; results/, reports/ and .venv stay
	@rm -rf build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
