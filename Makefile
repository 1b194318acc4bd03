# Two commands are all that a new machine needs: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TESTS  := $(VENV)/.installed-tests
# VIDEOS=folder takes your own videos; KEEP=1 leaves the stack up after the demo.
VIDEOS ?=
KEEP   ?=

.PHONY: install demo test lint bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Python 3.11 or 3.12 is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	@echo "installing into $(VENV): about 190 packages, a minute or two"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[video,airflow,quality,dashboards,metrics,local,dev]'
	touch $@

# Tests and mypy want torch as well, which the demo does without.
$(TESTS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[video,airflow,quality,dashboards,metrics,local,models,serving,training,dev]'
	touch $@

demo: install
	$(BIN)/strefer demo $(if $(VIDEOS),--videos '$(VIDEOS)') $(if $(KEEP),--keep)

test: $(TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

lint: $(TESTS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

bench: install
	$(BIN)/python -m benchmarks

clean:
	-$(BIN)/strefer down
	rm -rf $(VENV) .strefer .mypy_cache .ruff_cache .pytest_cache
