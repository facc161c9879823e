# A fresh machine with Python 3.11 and make needs nothing else. `make demo` and `make test` make what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint types imports unit bench peers docs clean

$(INSTALLED): setup.cfg handlers/setup.cfg
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test]' -e ./handlers
	touch $@

demo: $(INSTALLED)
	$(BIN)/python -m scripts.demo

test: $(INSTALLED) lint unit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

unit: $(INSTALLED)
	$(BIN)/python -m pytest -q -n 2

clean:
	rm -rf $(VENV) build dist *.egg-info
