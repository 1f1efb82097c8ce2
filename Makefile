# make demo   work through the sleep study and print it
# make test   run the tests
# Both make their own environment in .venv and build the package there; nothing but Python 3.11+ and a
# C++20 compiler is needed. Run again, they rebuild only what changed.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
SOURCES := pyproject.toml CMakeLists.txt LICENSE $(shell find core src -type f ! -name '*.pyc')
# One thread of BLAS in each of the test processes: more would only compete for the same cores.
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: demo test study course lint types sanitize docs wheel bench bench-stages bench-compare clean
.DEFAULT_GOAL := test

demo: $(VENV)/installed
	@$(BIN)/python examples/demo.py

test: $(VENV)/installed
	@$(PYTEST) -n $(JOBS)

study: $(VENV)/installed  ## the long simulation studies, left out of `make test`
	@$(PYTEST) -m study -n $(JOBS)

course: $(VENV)/installed
	@$(BIN)/python examples/course.py

lint: $(VENV)/checkers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/checkers
	@$(BIN)/mypy

docs: $(VENV)/installed  ## rewrite every example and output shown in the documents
	@$(BIN)/python tools/documents.py

wheel: $(VENV)/tools  ## the wheel as a package index would get it, built in isolation
	@$(BIN)/python -m pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir dist \
	  --config-settings=build-dir=build/wheel .

bench:  ## times beside other packages, each in its own environment; ARGS="--quick" for a first look
	@$(PYTHON) -m benchmarks.run $(ARGS)

bench-stages: $(VENV)/installed  ## where the time of our own fits goes
	@$(BIN)/python -m benchmarks.stages $(ARGS)

bench-compare:  ## times of two commits: make bench-compare BASE=main~5
	@$(PYTHON) -m benchmarks.compare $(BASE) $(ARGS)

clean:
	rm -rf $(VENV) build dist

# The package is installed as a user would have it, so that a file missing from the wheel is noticed. The
# build requirements live in the environment, not in one pip makes for a single build: the paths of the
# compiler's include files then stay the same, and a change of a Python file costs seconds.
$(VENV)/tools: tools/build_requirements.py pyproject.toml
	@echo "Making the environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PYTHON) tools/build_requirements.py > $(VENV)/build-requirements.txt
	@$(PIP_INSTALL) -r $(VENV)/build-requirements.txt
	@touch $@

$(VENV)/installed: $(VENV)/tools $(SOURCES)
	@echo "Building and installing multilevel (the first time takes a minute or two)"
	@$(PIP_INSTALL) --no-build-isolation '.[test]'
	@touch $@

$(VENV)/checkers: pyproject.toml | $(VENV)/installed
	@$(PIP_INSTALL) --no-build-isolation '.[dev]'
	@touch $@

# The kernels' tests with a core that checks every address and every arithmetic operation. The checked
# build sits beside the environment and shadows the installed one; the sanitizers' run-time libraries must
# be loaded before Python is, and the C++ library with them so that exceptions are seen.
SANITIZED := build/sanitized
PRELOAD = $(shell for name in libasan.so libubsan.so libstdc++.so.6; do $${CXX:-g++} -print-file-name=$$name; done)

sanitize: $(SANITIZED)/installed
	@LD_PRELOAD="$(PRELOAD)" PYTHONMALLOC=malloc PYTHONPATH=$(SANITIZED)/site \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:suppressions=tools/ubsan_suppressions.txt \
	  $(PYTEST) --capture=sys tests/kernels

$(SANITIZED)/installed: $(VENV)/installed
	@echo "Building the core with sanitizers"
	@$(PIP_INSTALL) --no-build-isolation --no-deps --upgrade --target $(SANITIZED)/site \
	  --config-settings=build-dir=$(SANITIZED)/cmake \
	  --config-settings=cmake.define.MULTILEVEL_SANITIZE=ON \
	  --config-settings=cmake.build-type=Debug --config-settings=install.strip=false .
	@touch $@
