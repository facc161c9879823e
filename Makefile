# A fresh machine with Python 3.11 and make needs nothing else: each target makes what it needs.
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs

# The first interpreter that runs and is new enough; say PYTHON=... to choose another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	$$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo $$p; break; }; done)

# -qq leaves out progress and warnings and still shows errors.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: demo test lint unit mongo bench bench-peers peers interop docs clean
.NOTPARALLEL:

demo: $(INSTALLED)
	@$(BIN)/python -m scripts.demo

test: lint unit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

unit: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The tests of MongoDB on a real server too: on MONGO=mongodb://host:port/ or one that is started for it, where it can
# be. OPTIONAL=1 makes it no failure that there is none; it is said.
mongo: $(INSTALLED)
	@$(BIN)/python -m scripts.mongo_service $(if $(MONGO),--uri '$(MONGO)') $(if $(OPTIONAL),--optional) -- \
		$(BIN)/python -m pytest -n 2 --dist worksteal tests/drivers/test_mongo_*.py

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# This package's service and the real tiled side by side.
bench-peers: $(INSTALLED)
	@$(BIN)/python -m scripts.tiled_peer $(if $(TILED_PYTHON),--python '$(TILED_PYTHON)') -- \
		$(BIN)/python -m benchmarks --only peers

peers: $(INSTALLED)
	$(BIN)/python -m scripts.peers

# With the real tiled at both ends, of TILED_PYTHON=/path/to/python or of an environment that is made for it. OPTIONAL=1
# makes it no failure that it cannot be made; it is said.
interop: $(INSTALLED)
	@$(BIN)/python -m scripts.tiled_peer $(if $(TILED_PYTHON),--python '$(TILED_PYTHON)') $(if $(OPTIONAL),--optional) -- \
		$(BIN)/python -m pytest -n 2 --dist worksteal tests/interop

docs: $(DOCS_INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

clean:
	rm -rf $(VENV) build dist docs/_build demo-output handlers/build handlers/dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info handlers/*.egg-info

# Everything that needs a package index happens here; the tests then run on loopback alone, which is why the
# build tools are in the environment too.
$(INSTALLED): setup.cfg pyproject.toml $(wildcard handlers/setup.cfg handlers/pyproject.toml)
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(NEW_ENOUGH)'; then \
		echo "Python 3.11 or newer is needed and '$(or $(PYTHON),python3)' is not; say: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
		exit 1; fi
	@echo "making $(VENV) with $$($(PYTHON) --version) and installing the package: a few minutes, once"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade pip 'setuptools>=77' wheel
	@$(PIP) install --no-build-isolation -e '.[test]' -e ./handlers
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED) setup.cfg
	@$(PIP) install --no-build-isolation -e '.[docs]'
	@touch $@
