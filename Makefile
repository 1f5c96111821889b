# Every target sets up what it needs: a fresh machine with Python 3.11 or newer and make is enough.

PY := .venv/bin/python
PYTHON ?=
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
PYTEST := $(PY) -m pytest -n auto --dist worksteal
INSTALL := $(PY) -m pip install -qq --disable-pip-version-check --only-binary :all: --require-hashes
RESOLVE := $(PY) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"

.PHONY: help site serve test check lint bench bench-reader conformance lock clean chromium
.NOTPARALLEL:

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

site: .venv/site.stamp ## Build the garden into _site/
	$(PY) build.py

serve: .venv/site.stamp ## Show the garden on a local address; build again on each save
	$(PY) build.py serve

test: .venv/test.stamp chromium ## Run every test, on all cores
	$(PYTEST)

check: lint chromium ## Check everything: format, lint, types, tests, the garden built strictly
	$(PYTEST)
	$(PY) build.py --strict

lint: .venv/test.stamp ## Check format, lint and types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: .venv/test.stamp ## Measure builds of generated gardens
	$(PY) -m tests.bench

bench-reader: .venv/test.stamp chromium ## Measure what a reader waits for, in a browser
	$(PY) -m tests.bench reader --write tests/bench/RESULTS-reader.md

conformance: .venv/test.stamp chromium ## Ask axe-core, Nu, html-validate and Lighthouse about every page
	$(PY) -m tests.conformance

lock: .venv/test.stamp ## Choose versions anew, and pin them with hashes
	$(RESOLVE) -o requirements/site.lock pyproject.toml
	$(RESOLVE) -o requirements/test.lock -c requirements/site.lock pyproject.toml --extra dask --group test

clean: ## Remove the site and every cache (the environment stays: rm -r .venv)
	rm -rf _site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Browser tests are never skipped: a Chromium is found, or obtained, before the tests begin.
chromium: .venv/test.stamp ## Find a browser for the tests, or install one
	@$(PY) tests/browser/obtain_chromium.py

# A stamp is as new as the lock file that was installed, so that a second call costs nothing.

.venv/site.stamp: .venv/made.stamp requirements/site.lock
	@echo "Installing what the site needs into .venv (once)"
	@$(INSTALL) -r requirements/site.lock
	@touch $@

.venv/test.stamp: .venv/site.stamp requirements/test.lock
	@echo "Installing what the tests need into .venv (once)"
	@$(INSTALL) -r requirements/test.lock
	@touch $@

.venv/made.stamp:
	@recent=; for python in $(PYTHONS); do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  recent=$$python; \
	  $$python -m venv .venv >/dev/null 2>&1 || $$python -m virtualenv -q .venv 2>/dev/null || continue; \
	  echo "Made .venv with $$($$python --version)"; touch $@; exit 0; \
	done; \
	rm -rf .venv; \
	if [ -n "$$recent" ]; then \
	  echo "$$recent cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv" >&2; \
	else \
	  echo "Python 3.11 or newer is needed; none of these is: $(PYTHONS). To name one: make PYTHON=/path/to/python" >&2; \
	fi; exit 1
