# Everything a reader does with this project. Each target sets up .venv by itself when it is missing.
#
#   make study                                   the demo study, from drawn posters to a finished book
#   make study RUN=runs/mine ARGS="-p epochs 2"  another run directory, other parameters
#   make test                                    everything that is checked before a change goes in
#   make book                                    the published book, into _build/html
#   make serve                                   a page and a REST endpoint that classify posters
#   make lint                                    the quick half of the checks
#   make lock                                    pin every package anew, for Python 3.11 and 3.12

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

RUN ?= runs/demo
ARGS ?=
PYTHON ?=
ENVIRONMENT := .venv/.ready
BIN := .venv/bin
SUPPORTED := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))

PORT ?= 8000

.PHONY: help study test book serve lint lock

help:
	@sed -n '3,9s/^# *//p' Makefile

study: $(ENVIRONMENT)
	@$(BIN)/python -m postergenre study --run "$(RUN)" $(ARGS)

book: $(ENVIRONMENT)
	@$(BIN)/python -m postergenre book

serve: $(ENVIRONMENT)
	@$(BIN)/python -m postergenre serve --port "$(PORT)" $(ARGS)

lint: $(ENVIRONMENT)
	@echo "== ruff check"; $(BIN)/ruff check
	@echo "== ruff format"; $(BIN)/ruff format --check
	@echo "== mypy"; $(BIN)/mypy

# The notebooks are compared with what they compute now, and the published book is built, as soon
# as there are outputs and executed copies.
test: lint
	@echo "== pytest"; $(BIN)/python -m pytest tests
	@if grep -q '"output_type"' notebooks/*.ipynb; then \
	  echo "== nbval: the outputs in notebooks/"; \
	  TQDM_DISABLE=1 TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=1800 notebooks; \
	else echo "== nbval: no outputs in notebooks/ yet"; fi
	@if compgen -G 'book/executed/*.ipynb' >/dev/null; then \
	  echo "== the published book"; $(BIN)/python -m postergenre book; \
	else echo "== the published book: nothing in book/executed yet"; fi

lock: $(ENVIRONMENT)
	@$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-header --no-emit-index-url -q pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-emit-index-url -q requirements-serve.in -o requirements-serve.lock
	@echo "requirements.lock and requirements-serve.lock are written; the next target installs the first."

# An environment that is there is kept and brought to the lock; one of another Python is replaced.
$(ENVIRONMENT): requirements.lock
	@if ! $(BIN)/python -c '$(SUPPORTED)' 2>/dev/null; then \
	  found=""; \
	  for python in $(or $(PYTHON),python3.12 python3.11 python3); do \
	    if $$python -c '$(SUPPORTED)' 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "Python 3.11 or 3.12 is needed; tried: $(or $(PYTHON),python3.12 python3.11 python3)." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.12 …" >&2; exit 1; \
	  fi; \
	  echo "Setting up .venv with $$($$found --version)"; \
	  $$found -m venv --clear .venv; \
	fi
	@echo "Installing what requirements.lock pins (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
