# Needs Python 3.11 or later and make; everything else comes into .venv.
# `make help` lists what there is.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
# What the tests run on; `make test SERVERS=installed` takes the servers of this machine.
SERVERS ?= embedded
# A test that fails beside busy neighbours is tried once more, and named either way.
PYTEST := $(BIN)/pytest -q -rR --reruns 1 --server-source $(SERVERS)
# A file's tests stay with one worker, which has servers of its own.
WORKERS ?= 3

# What one process compiles the next one finds compiled; the rest need not be.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs bench nightly matrix lock clean
# Targets share .venv and the servers: one after the other, also with -j.
.NOTPARALLEL:

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-8s %s\n' "$$name" "$$what"; done

demo: $(READY) ## the whole story on private servers: measure, tune, measure again, compare
	@$(BIN)/dbtune demo

test: $(READY) ## all tests, the quick ones first, on private servers
	$(PYTEST) -n $(WORKERS) --dist loadfile

lint: $(READY) ## style, types, layers, and whether the generated documents are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n 2
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

format: $(READY) ## write the code as lint wants it
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(READY) ## write the generated documents in docs/ from the code
	$(BIN)/python docs/generate.py

bench: $(READY) ## each benchmark; its last line is the ratio
	@for file in benchmarks/*.py; do echo "$$file"; $(BIN)/python $$file || exit 1; done

matrix: $(READY) ## the tests that touch servers, on every supported PostgreSQL and Redis
	$(BIN)/python .ci/matrix.py

nightly: test matrix bench ## everything that takes its time

lock: ## write requirements.lock from pyproject.toml, with the newest versions
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python .ci/lock.py > build/requirements.in
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check -r build/requirements.in
	build/lock/bin/python -m pip freeze --disable-pip-version-check > requirements.lock
	rm -rf build/lock

clean: ## remove everything that make made
	rm -rf .venv .servers build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests docs benchmarks .ci -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or later was found; name one with PYTHON=..." >&2; exit 1; }
	@echo "setting up .venv (once)" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
