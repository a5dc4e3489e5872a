# Everything starts here. `make help` lists the targets; each does its own set-up.
PYTHON ?= python3
VENV   := .venv
BENCH  := .venv-bench
RUN    := $(VENV)/bin/channelwise
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup reports test lab refresh lint bench lock clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/installed  ## create .venv with the locked packages (the others call this)

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Channelwise needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.13" >&2; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) (about two minutes, once)"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

reports: setup  ## run every notebook at its defaults and render reports/index.html
	$(RUN) run --all --jobs $(JOBS)
	@echo "Open reports/index.html"

test: setup  ## the whole suite: library, runs, reports, browser, and every notebook
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --nbval --nbval-current-env tests notebooks

lab: setup  ## open JupyterLab at the front door
	$(VENV)/bin/jupyter lab notebooks/00_start_here.ipynb

refresh: setup  ## execute the committed notebooks in place
	$(RUN) refresh
	$(VENV)/bin/ruff format --quiet notebooks

lint: setup  ## format and fix the code
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

bench: setup  ## compare with the peers, in an environment of their own
	$(MAKE) --directory benchmarks PYTHON=$(PYTHON)

lock: setup  ## rewrite requirements.lock from pyproject.toml
	$(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/uv pip compile pyproject.toml --quiet --universal --fork-strategy fewest \
	  --python-version 3.11 --extra test --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" --output-file requirements.lock

clean:  ## remove the environments and the generated reports
	rm -rf $(VENV) $(BENCH) .pytest_cache .ruff_cache .hypothesis
	find reports -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
