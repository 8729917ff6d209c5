# What people do with a clone of flownb. Each target makes what it needs; nothing has to be installed
# before but Python (3.11 or newer) and make.
#
#   PYTHON=...           the Python that .venv is made with
#   FLOWNB_CHROMIUM=...  the Chromium or Chrome of the browser tests
#   WORKERS=...          processes that run the tests
#   PYTHONS="..."        the Pythons of `make test-pythons`: names on the PATH, or versions that uv knows
#   ARGS=...             more words for pytest or the benchmarks: make check ARGS="-k digest"

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= python3 python3.13 python3.12 python3.11 python
ARGS ?=
# one more than two processors have work for: while some wait for a kernel, there is one that does not
WORKERS ?= 3
INSTALL := PIP_ROOT_USER_ACTION=ignore $(PY) -m pip install --quiet --disable-pip-version-check --editable
# what an installation is made of; when one of these changes, it is made again
INSTALLED := pyproject.toml flownb/_version.py $(wildcard jupyter-config/*/*/*) $(VENV)/pyvenv.cfg
# the demo is content with less than the tests need, and takes what is there
ANY_INSTALL := $(if $(wildcard .stamps/dev),.stamps/dev,.stamps/examples)
PYTEST := $(PY) -m pytest -n $(WORKERS)

# environments with an older ipykernel, whose kernels the tests run flows in
KERNELS := .kernels/6.17.1 .kernels/6.29.5

# the versions that the quick tests pass on, beside the one of .venv
PYTHONS ?= python3.12 python3.13 python3.14

.PHONY: help demo test test-pythons check programs lint types format docs bench browser kernels clean

help:
	@echo "make demo     run the example, and show what came out"
	@echo "make check    lint, types and the quick tests"
	@echo "make test     lint, types and all tests (real kernels, a real JupyterLab), with coverage"
	@echo "make test-pythons  the quick tests on every newer Python that is here"
	@echo "make docs     the pages and the API's reference as HTML, into build/docs"
	@echo "make programs 20,000 generated notebooks, sliced and executed"
	@echo "make bench    the benchmarks"
	@echo "make format   put the code in its form"
	@echo "make clean    remove what the tools leave behind; .venv and the records in .flownb stay"

demo: $(ANY_INSTALL)
	$(PY) -m flownb run "notebooks/co2.ipynb#co2" -p since=1990-01-01 -p until=2000-12-31 $(ARGS)
	@echo
	@echo "The summary, by year:"
	$(PY) -m flownb outputs last summary
	@echo
	@echo "The chart (the executed notebook is named above):"
	$(PY) -m flownb outputs last chart

check: lint types
	$(PYTEST) --dist loadfile -m "not kernel and not browser and not long" $(ARGS)

test: lint types browser kernels
	$(PYTEST) --cov --cov-report=term --no-cov-on-fail $(ARGS)

# an environment for each of PYTHONS that can be had; it is an error when there is none
test-pythons:
	@found=0; \
	for name in $(PYTHONS); do \
	  python=$$(command -v "$$name" || uv python find "$${name#python}" 2> /dev/null || true); \
	  if [ -z "$$python" ] || ! "$$python" -c 'import venv, ensurepip' 2> /dev/null; then \
	    echo "$$name: not here"; continue; \
	  fi; \
	  found=1; place=.pythons/$$("$$python" -c 'import platform; print(platform.python_version())'); \
	  echo "$$name: $$place"; \
	  [ -x $$place/bin/python ] || "$$python" -m venv $$place; \
	  PIP_ROOT_USER_ACTION=ignore $$place/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"; \
	  $$place/bin/python -m pytest -n $(WORKERS) --dist loadfile -m "not kernel and not browser" $(ARGS); \
	done; \
	[ $$found = 1 ] || { echo "There is none of: $(PYTHONS). Name one: make test-pythons PYTHONS=python3.12" >&2; exit 1; }

docs: .stamps/docs
	$(PY) -m mkdocs build --strict --quiet --site-dir build/docs
	@echo "build/docs/index.html"

programs: .stamps/dev
	cd tests/programs && ../../$(PY) run_programs.py --slicer slicer:slicer --seeds 0-20000 $(ARGS)

lint: .stamps/dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: .stamps/dev
	$(PY) -m mypy

format: .stamps/dev
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format .

bench: .stamps/dev
	$(PY) -m benchmarks $(ARGS)

kernels: $(KERNELS)

.kernels/6.17.1: PACKAGES := ipykernel==6.17.1 ipython==8.5.0
.kernels/6.29.5: PACKAGES := ipykernel==6.29.5 ipython==8.18.1
$(KERNELS): Makefile $(VENV)/pyvenv.cfg | .stamps/dev
	@echo "Making an environment with $(PACKAGES)"
	@rm -rf $@ $@.new
	@$(PY) -m venv $@.new
	@PIP_ROOT_USER_ACTION=ignore $@.new/bin/python -m pip install --quiet --disable-pip-version-check $(PACKAGES)
	@mv $@.new $@
	@touch $@

browser: .stamps/dev
	@$(PY) tests/chromium.py > /dev/null && exit 0; \
	if [ -n "$${FLOWNB_CHROMIUM:-}" ]; then \
	  echo "FLOWNB_CHROMIUM=$$FLOWNB_CHROMIUM is not a program that can be run" >&2; exit 1; \
	fi; \
	as_root=""; [ "$$(id -u)" = 0 ] || as_root="sudo"; \
	if command -v apt-get > /dev/null && { [ -z "$$as_root" ] || command -v sudo > /dev/null; }; then \
	  echo "No Chromium here for the browser tests: installing one with apt-get"; \
	  $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium > /dev/null || true; \
	fi; \
	$(PY) tests/chromium.py > /dev/null || { \
	  echo "The browser tests need Chromium or Chrome, and there is none here." >&2; \
	  echo "Install one (macOS: brew install --cask chromium), or give its path: make test FLOWNB_CHROMIUM=/path/to/chromium" >&2; \
	  exit 1; }

clean:
	rm -rf .stamps .kernels .pythons build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@for python in $(PYTHON); do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
	    exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	echo "flownb needs Python 3.11 or newer with its venv module, and there is none of: $(PYTHON)." >&2; \
	echo "Install one (Debian, Ubuntu: apt-get install python3-venv; macOS: brew install python), or name it: make PYTHON=/path/to/python" >&2; \
	exit 1

.stamps/examples: $(INSTALLED)
	@mkdir -p .stamps
	@echo "Installing flownb and what its example needs into $(VENV)"
	@$(INSTALL) ".[examples]"
	@touch $@

.stamps/docs: $(INSTALLED)
	@mkdir -p .stamps
	@echo "Installing flownb and what its pages are made with into $(VENV)"
	@$(INSTALL) ".[docs]"
	@touch $@

.stamps/dev: $(INSTALLED)
	@mkdir -p .stamps
	@echo "Installing flownb and what its tests need into $(VENV)"
	@$(INSTALL) ".[dev]"
	@touch $@
