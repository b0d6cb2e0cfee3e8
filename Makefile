# Two commands: `make demo` and `make test`. Each does everything on a machine with Python >= 3.11.
PYTHON ?= python3
BIN := .venv/bin
# uv keeps torch and torchvision builds matched; pip may take a local wheel that does not.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)

.PHONY: setup demo test test-long check lock clean

setup: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stacnet needs Python >= 3.11, got $$($(PYTHON) --version); set PYTHON=..."; exit 2; }
	@command -v $(UV) >/dev/null || { $(PYTHON) -m venv .uv && .uv/bin/pip install -q uv; } || \
	  $(PYTHON) -m pip install -q --target .uv uv
	@test -x $(BIN)/python || $(UV) venv -q --python "$$(command -v $(PYTHON))" .venv
	$(UV) pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/stac demo --out out/demo

test: setup
	$(BIN)/pytest -m "not long" -n 2 --dist loadfile --no-loadscope-reorder --durations=15

test-long: setup
	$(BIN)/pytest --timeout=3600

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

lock:
	$(UV) pip compile -q --universal --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --python-version 3.11 --extra dev \
	  pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .uv out
