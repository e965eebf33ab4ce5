# Every target builds its own .venv from pyproject.toml and constraints.txt: there is nothing to do by hand.
.PHONY: run test check bench docs test-real clean

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

run: .venv/core.stamp
	$(BIN)/outlay demo

test: .venv/dev.stamp
	$(BIN)/python -m pytest -q $(ARGS)

check: .venv/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev.stamp
	set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

docs: .venv/dev.stamp
	$(BIN)/python docs/freeze_cli.py

# Without a live server or weights every test skips and says what it lacks; no such test at all (5) is no failure.
test-real: .venv/dev.stamp
	$(BIN)/python -m pytest -q -rs -m real $(ARGS) || test $$? -eq 5

clean:
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e .
	touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e '.[dev]'
	touch .venv/core.stamp $@
