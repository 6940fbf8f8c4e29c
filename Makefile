# Everything happens in .venv; nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo unit test bench clean

# The whole way once, on this machine. `make demo ARGS="--port 9000"` chooses another port.
demo: $(STAMP)
	$(BIN)/connector demo $(ARGS)

# Formatting, types and the whole test suite: first the tests that may run beside each other, then those that measure
# time, kill processes or drive a browser. `make test ARGS="-k mapping"` runs a part of it.
ALONE := tests/browser tests/e2e tests/failure
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest $(ALONE)
endif

# The tests that need neither a database nor a socket.
unit: $(STAMP)
	$(BIN)/python -m pytest tests/unit tests/test_architecture.py $(ARGS)

# How fast it is and what it costs, beside rivals. `make bench ARGS="--quick"` takes a minute, the whole half an hour.
bench: $(STAMP)
	$(BIN)/python -m tests.bench $(ARGS)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV)
