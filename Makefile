# The project's commands: `make reproduce`, `make test`, `make quick`, `make bench`, `make lint`, `make lock`.
# PYTHON       the interpreter that makes .venv (3.11 or later)
# TORCH_INDEX  an extra package index, e.g. https://download.pytorch.org/whl/cpu for torch without CUDA
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
TORCH_INDEX ?=
BIN := $(CURDIR)/.venv/bin
# Snakemake's rules and DVC's stages call `vldistill` and `snakemake` by name.
ACTIVE := export PATH="$(BIN):$$PATH" &&
STAMP := .venv/.made-from-lock
PYTEST_ARGS ?=

.PHONY: help reproduce test quick lint bench lock

help:
	@echo "make reproduce  the default experiment on this machine, ends with REPRODUCED or DIFFERS"
	@echo "make test       all checks and tests, as CI"
	@echo "make quick      the inner loop: lint and the fast tests, under 2 minutes"
	@echo "make lint       ruff, mypy, snakefmt, snakemake --lint"
	@echo "make bench      races against other software, writes bench/results.md"
	@echo "make lock       writes envs/requirements.lock from .venv"

.venv: $(STAMP)

$(STAMP): envs/requirements.lock envs/requirements-cuda.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "vldistill needs Python 3.11 or later; name one: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@echo "installing envs/requirements.lock into .venv: some minutes"
	$(BIN)/python -m pip install -qq --disable-pip-version-check -r envs/requirements.lock $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -e .
	touch $@

reproduce: $(STAMP)
	@$(ACTIVE) vldistill doctor --brief
	$(ACTIVE) snakemake all
	@$(ACTIVE) vldistill reproduce

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check workflow rules
	$(ACTIVE) snakemake --lint

test: lint
	$(ACTIVE) vldistill doctor --brief
	$(ACTIVE) pytest -q -n 2 --dist loadfile $(PYTEST_ARGS)

quick: $(STAMP)
	$(BIN)/ruff check .
	$(ACTIVE) pytest -q -n 2 --dist loadfile -m "not slow and not cluster" $(PYTEST_ARGS)

bench: $(STAMP)
	$(ACTIVE) python bench/run.py

lock: $(STAMP)
	$(BIN)/python envs/lock.py
