# The README's two commands are `make demo` and `make test`; both build .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: venv demo test quick lint clean

venv: $(STAMP)

$(STAMP): setup.py constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("csiq needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,siemens,dicom,cluster]'
	touch $@

demo: $(STAMP)
	$(BIN)/csiq demo

test: $(STAMP) lint
	$(BIN)/python -m pytest

quick: $(STAMP)
	$(BIN)/python -m pytest -m 'not slow'

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist csiq.egg-info .pytest_cache .mypy_cache .ruff_cache
