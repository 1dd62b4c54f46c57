# make quickstart   train and evaluate the embedded default
# make test         the whole test suite, as CI runs it; networks, heads and kernels on JAX too
# make check        style

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Files of tests side by side: most of a test is a process that starts, on one core.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

.PHONY: quickstart test check clean

quickstart: runs/quickstart/report.html
	@echo "trained and evaluated; the report: $< (delete runs/quickstart to do it again)"

runs/quickstart/report.html: | .venv/installed
	@$(BIN)/python tools/train.py recipes/quickstart.yaml

test: .venv/installed-dev
	$(PYTEST)
	KERAS_BACKEND=jax $(PYTEST) tests/contracts/test_backbones.py tests/contracts/test_heads.py tests/kernels

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"tfface needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}; give another: make PYTHON=python3.12 ...")'
	@echo "making .venv"
	@$(PYTHON) -m venv .venv

.venv/installed: requirements.txt | .venv/bin/python
	@echo "installing requirements.txt into .venv (about a minute)"
	@$(PIP) install -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements.txt | .venv/bin/python
	@echo "installing requirements-dev.txt into .venv"
	@$(PIP) install -r requirements-dev.txt
	@touch $@ .venv/installed

clean:
	rm -rf .venv
