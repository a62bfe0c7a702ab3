# The only command surface: people, CI and the README use these targets and nothing else.
#   make setup      bring what it needs into .venv
#   make run        watch one whole cutover (real processes, real git, real traffic)
#   make test       the checks, then the suite
#   make check      format, lint, types, layers, lock file
#   make scenarios  every way a cutover must be refused or rolled back
#   make bench      the ratios, each beside a physical limit of the same run
#   make clean      remove what the targets above made
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := run
.PHONY: setup run test check scenarios bench clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)
READY := $(VENV)/.ready

$(READY): uv.lock pyproject.toml $(wildcard packages/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: Python 3.11 or newer is needed, '$(PYTHON)' is $$($(PYTHON) -V 2>&1); try 'make PYTHON=python3.12 ...'" >&2; exit 2; }
	@command -v git >/dev/null || { echo "make: git is needed; install it with your package manager" >&2; exit 2; }
	@command -v uv >/dev/null || test -x $(BIN)/uv || \
	  { echo "setting up: bringing uv into $(VENV)"; $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip -q install uv; } || \
	  { echo "make: could not bring uv into $(VENV); on Debian 'apt-get install python3-venv' helps, or install uv" >&2; exit 2; }
	@echo "setting up: packages of uv.lock into $(VENV)"
	@$(UV) sync --frozen --quiet --compile-bytecode --python $(PYTHON)
	@touch $@

# Dozens of short processes start in a demo; none of them should compile what another one has.
COMPILE := $(BIN)/python -m compileall -q packages/contracts/src packages/memorykernel/src \
  packages/assistsupport/src packages/cutover/src

setup: $(READY)
	@$(COMPILE)

run: $(READY)
	@$(COMPILE)
	@$(BIN)/cutover demo

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --no-error-summary packages tests benchmarks
	$(BIN)/lint-imports --no-cache
	@$(UV) lock --check --quiet || { echo "make: uv.lock is behind pyproject.toml; run 'uv lock'" >&2; exit 1; }

# One process per core, each with servers of its own; who runs out of tests takes some of another's.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal

test: check
	@$(COMPILE)
	$(BIN)/pytest $(PARALLEL) --durations 10

scenarios: $(READY)
	@$(COMPILE)
	$(BIN)/pytest -m scenarios -p no:randomly tests/scenarios

bench: $(READY)
	@$(COMPILE)
	$(BIN)/python -m benchmarks

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis $(VENV)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
