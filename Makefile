# Two commands: `make demo` and `make test`. Each does everything on a machine with Python >= 3.11.
PYTHON ?= python3
BIN := .venv/bin
# uv keeps torch and torchvision builds matched; pip may take a local wheel that does not.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
# `make setup TORCH=cpu` leaves CUDA out; it stays so until `make setup TORCH=cuda`.
TORCH ?= $(or $(firstword $(shell tail -n 1 .venv/.installed 2>/dev/null)),cuda)
ifeq ($(TORCH),cuda)
SIZE_GB := 7
ABOUT := 6.7 GB with CUDA (3.4 GB to download); without a GPU: make setup TORCH=cpu, 2.3 GB
else ifeq ($(TORCH),cpu)
SIZE_GB := 3
ABOUT := 2.3 GB without CUDA
else
$(error TORCH must be cuda or cpu, got TORCH=$(TORCH))
endif
# Where .venv works: with another choice, Python, processor or folder (a copy) it is made anew.
PLACE = echo $(TORCH) $$($(BIN)/python -c \
  'import platform, sys; print(sys.version, platform.machine(), sys.prefix)' 2>/dev/null)
# What .venv holds: the bytes of the lock count and not its date, which is that of its commit.
STAMP = { cat requirements.lock pyproject.toml | cksum; $(PLACE); }
PIP = $(UV) pip install --compile-bytecode --python $(BIN)/python
# The site's makers announce the end of mkdocs at each build; see docs/decisions/the-site.md.
SITE = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
CUDA := torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+

.PHONY: setup install stamp demo test test-quick test-long check docs notebook lock clean

setup:
	@test "$$($(STAMP))" = "$$(cat .venv/.installed 2>/dev/null)" || $(MAKE) --no-print-directory install

install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stacnet needs Python >= 3.11, got $$($(PYTHON) --version); set PYTHON=..."; exit 2; }
	@echo "Installing requirements.lock into .venv: $(ABOUT); minutes, less if uv has it in its cache."
	@command -v $(UV) >/dev/null || { $(PYTHON) -m venv .uv && .uv/bin/pip install -q uv; } || \
	  $(PYTHON) -m pip install -q --target .uv uv
	@test "$$($(PLACE))" = "$$(tail -n 1 .venv/.installed 2>/dev/null)" || { \
	  df -Pk . | awk 'NR == 2 && $$4 < $(SIZE_GB) * 1000000 { print "the disk of this folder must have" \
	    " $(SIZE_GB) GB free, got " $$4 / 1000000 " GB"; exit 2 }' && \
	  $(UV) venv --clear --python "$$(command -v $(PYTHON))" .venv; }
	@rm -f .venv/.installed
ifeq ($(TORCH),cpu)
	@awk '/^[^ #]/ { skip = /^($(CUDA))==/ } !skip' requirements.lock > .venv/cpu.lock
	$(PIP) --require-hashes --no-deps -r .venv/cpu.lock
	$(PIP) --no-deps --torch-backend=cpu $$(grep -oE '^torch(vision)?==[^ ]+' requirements.lock)
else
	$(PIP) --require-hashes -r requirements.lock
endif
	$(PIP) --no-deps --no-build-isolation -e .
	@$(STAMP) > .venv/.installed

stamp:
	@$(STAMP)

demo: setup
	$(BIN)/stac demo --out out/demo

test: setup
	$(BIN)/pytest -m "not long" -n 3 --dist loadfile --no-loadscope-reorder --durations=15

test-quick: setup
	$(BIN)/pytest -m "not long and not slow" -n 2 --dist loadfile

test-long: setup
	$(BIN)/pytest --timeout=3600

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(SITE)

docs: setup
	$(SITE)
	@echo out/site/index.html

notebook: setup
	$(BIN)/python -c 'import nbclient, nbformat; file = "examples/first_look.ipynb"; \
	  book = nbformat.read(file, as_version=4); \
	  nbclient.NotebookClient(book, record_timing=False, coalesce_streams=True).execute(); \
	  nbformat.write(book, file)'

lock:
	$(UV) pip compile -q --universal --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --python-version 3.11 --extra dev \
	  pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .uv out
