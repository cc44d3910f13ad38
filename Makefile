# The README's two commands are `make demo` and `make test`; both build .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Processes of the tests; a file of tests stays in one of them, with its fixtures.
WORKERS ?= 2
# In the order of tests/conftest.py; libraries in one thread each, or the processes are in each other's way.
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
PYTEST := $(THREADS) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: venv demo test suite soak quick lint docs clean

venv: $(STAMP)

# editable_mode: otherwise `import csiq` beside the repository takes its folder, of the same name, for the package
$(STAMP): setup.py constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("csiq needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt --config-settings editable_mode=compat \
		-e '.[test,siemens,dicom,cluster,docs]'
	touch $@

demo: $(STAMP)
	$(BIN)/csiq demo

# mypy, which takes one core, goes on beside the tests.
test: $(STAMP)
	$(MAKE) --jobs=2 lint suite

suite: $(STAMP)
	$(PYTEST)

# Ten times the damage and five times the kills of `make test`: about an hour; -rP says how each kind ended.
soak: $(STAMP)
	CSIQ_FUZZ_CASES=20000 CSIQ_KILLS=50 $(PYTEST) -rP tests/faults

quick: $(STAMP)
	$(PYTEST) -m 'not slow'

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# build/docs/index.html; a warning is an error
docs: $(STAMP)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

clean:
	rm -rf $(VENV) build dist csiq.egg-info .pytest_cache .mypy_cache .ruff_cache
