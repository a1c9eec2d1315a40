# make setup · demo · test · check · bench · notebooks
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: setup demo test test-slow check format lock bench notebooks ui clean

setup: $(VENV)/.done

# Byte code is compiled once, here: without it each start would take seconds longer.
$(VENV)/.done: requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] <= (3, 13) else \
		"zoo needs Python 3.11 to 3.13 and found %d.%d; try make setup PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	"$(BIN)/python" -m compileall -q -j 0 "$(VENV)/lib" > /dev/null 2>&1 || true
	@touch "$@"

demo: setup
	@"$(BIN)/python" demo.py

test: setup
	@OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -q -m "not slow" -n 2 --dist worksteal  # each beside another one

test-slow: setup
	@"$(BIN)/python" -m pytest -q -m slow

check: setup
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"
	"$(BIN)/python" -m pytest -q tests/test_structure.py tests/test_errors.py tests/test_spec.py tests/jobs/test_job.py \
		tests/test_registry.py tests/metrics

format: setup
	"$(BIN)/ruff" format .
	"$(BIN)/ruff" check --fix .

# Rewrites requirements.lock from the ranges in setup.cfg, for Python 3.11 to 3.13 on Linux and macOS.
lock: setup
	"$(BIN)/uv" pip compile setup.cfg --extra dev --universal --python-version 3.11 --upgrade --quiet \
		--no-emit-index-url --no-header --annotation-style line --output-file requirements.lock
	@touch "$(VENV)/.done"

bench: setup
	@for name in startup reading epoch tracking predict runs search equal_time rl report label_errors intervals streaming damaged defaults; do "$(BIN)/python" benchmarks/$$name.py || exit 1; done

notebooks: setup
	@"$(BIN)/python" -m pytest -q -m slow tests/test_notebooks.py

ui: setup
	@"$(BIN)/zoo" ui

clean:
	rm -rf "$(VENV)" build dist *.egg-info
