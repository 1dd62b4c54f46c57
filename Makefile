# make quickstart   train and evaluate the embedded default
# make check        style, spelling and types
# make test         the default tier of the tests: what every commit has to pass
# make test-all     all tests: also large networks, several devices, kills, all fuzz cases
# make coverage     the default tier, with the lines that it runs
# make reference    docs/reference/recipe.md and commands.md, made from the descriptions in the code
# make docs         the documentation site, in site/

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Files of tests side by side, one more than processors: some tests wait for processes of their own.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
TESTS := -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/python $(TESTS)
DEFAULT_TIER := -m "not slow and not distributed and not faults and not fuzz"
# What has a form of its own on each backend. Most of it is in one file, which workers share.
ON_JAX := -n auto --dist worksteal tests/contracts/test_backbones.py tests/contracts/test_heads.py tests/kernels \
	tests/evaluation/embedders/test_embedder.py::test_keras_embedder_sums_image_and_mirrored_image
# Text that ruff doesn't look after.
TEXTS = $(wildcard *.md *.toml *.txt *.yml Makefile .pre-commit-config.yaml) \
	$(shell find .github benchmarks docs recipes results tests/*.md -name '*.md' -o -name '*.y*ml' -o -name '*.csv' -o -name '*.txt')

.PHONY: quickstart check test test-all coverage reference docs clean

quickstart: runs/quickstart/report.html
	@echo "trained and evaluated; the report: $< (delete runs/quickstart to do it again)"

runs/quickstart/report.html: | .venv/installed
	@$(BIN)/tfface train quickstart

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	@$(BIN)/end-of-file-fixer $(TEXTS)
	@$(BIN)/trailing-whitespace-fixer $(TEXTS)

test: .venv/installed-dev
	$(PYTEST) $(DEFAULT_TIER) --durations=10
	KERAS_BACKEND=jax $(PYTEST) $(DEFAULT_TIER) $(ON_JAX)

test-all: .venv/installed-dev
	HYPOTHESIS_PROFILE=nightly $(PYTEST) --durations=25
	KERAS_BACKEND=jax HYPOTHESIS_PROFILE=nightly $(PYTEST) $(ON_JAX)

# The report is printed when a test fails, too.
coverage: .venv/installed-dev
	rm -rf build/coverage
	$(BIN)/coverage run $(TESTS) $(DEFAULT_TIER); status=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage html --quiet && $(BIN)/coverage report && exit $$status

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"tfface needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}; give another: make PYTHON=python3.12 ...")'
	@echo "making .venv"
	@$(PYTHON) -m venv .venv

.venv/installed: requirements.txt pyproject.toml | .venv/bin/python
	@echo "installing requirements.txt into .venv (3 GB: a minute or more)"
	@$(PIP) install -r requirements.txt
	@$(PIP) install --no-deps -e .
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements.txt pyproject.toml | .venv/bin/python
	@echo "installing requirements-dev.txt into .venv"
	@$(PIP) install -r requirements-dev.txt
	@$(PIP) install --no-deps -e .
	@touch $@ .venv/installed

reference: .venv/installed-dev
	$(BIN)/python tools/update_reference.py

# Python files are read, not imported, so this needs nothing of requirements.txt.
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.venv/installed-docs: requirements-docs.txt | .venv/bin/python
	@echo "installing requirements-docs.txt into .venv"
	@$(PIP) install -r requirements-docs.txt
	@touch $@

clean:
	rm -rf .venv
