# Everything happens in .venv; nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTABLE := $(VENV)/.testable

.PHONY: install demo unit test bench clean

# What it needs to run. `. .venv/bin/activate` then puts `connector` on the path.
install: $(INSTALLED)

# The whole way, on this machine. `make demo ARGS="--port 9000"` chooses another port.
demo: $(INSTALLED)
	$(BIN)/connector demo $(ARGS)

# Formatting, types and the whole test suite: first the tests that may run beside each other, then two at a time those
# that run whole processes or drive a browser, then those that break things, and alone the one that measures the rate.
# `make test ARGS="-k mapping"` runs a part of it.
WHOLE := tests/browser tests/e2e
BREAKING := tests/failure
RATE := tests/e2e/test_workers.py
SHARED := --dist loadfile --no-loadscope-reorder
test: $(TESTABLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n 3 $(SHARED) $(addprefix --ignore=,$(WHOLE) $(BREAKING))
	$(BIN)/python -m pytest -n 2 $(SHARED) $(WHOLE) --ignore=$(RATE)
	$(BIN)/python -m pytest -n 2 $(SHARED) $(BREAKING)
	$(BIN)/python -m pytest $(RATE)
endif

# The tests that need neither a database nor a socket.
unit: $(TESTABLE)
	$(BIN)/python -m pytest tests/unit tests/test_architecture.py $(ARGS)

# How fast it is and what it costs, beside rivals. `make bench ARGS="--quick"` takes a minute, the whole half an hour.
bench: $(TESTABLE)
	$(BIN)/python -m tests.bench $(ARGS)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	@echo "Installing into $(VENV): about a minute, once."
	$(PYTHON) -m venv $(VENV)
	sed '/^# To test it/,$$d' constraints.txt > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(TESTABLE): $(INSTALLED)
	@echo "Installing what the tests need: half a minute, once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@touch $@

clean:
	rm -rf $(VENV)
