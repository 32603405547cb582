# The same commands at home, in CI and in the README. Only python3 (3.11 or newer) and make are needed.
VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt
OUT := .
# Tests start servers and wait for them: one process more than there are cores.
TESTERS = $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')

.PHONY: demo test check bench bench-serve soak eval local clean

demo: $(VENV)/.core
	$(VENV)/bin/duetto demo

test: $(VENV)/.dev
	$(PYTHON) -m pytest -q --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.core
	$(PYTHON) -m duetto.bench --out $(OUT)/bench.json $(ARGS)

bench-serve: $(VENV)/.dev
	$(PYTHON) -m duetto.bench_serve --out $(OUT)/bench-serve.json $(ARGS)

soak: $(VENV)/.dev
	$(PYTHON) -m duetto.bench_serve --soak 10000 --out $(OUT)/soak.json $(ARGS)

# Figures of the README's evidence table; DATA holds ml-1m, amazon-beauty and ml-latest-small.
DATA := ../shared/data
eval: $(VENV)/.local
	$(PYTHON) -m duetto.evidence --data $(DATA) --out $(OUT)/eval $(ARGS)

local: $(VENV)/.local

$(VENV)/bin/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "duetto needs Python 3.11 or newer as python3" >&2; exit 2; }
	python3 -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[dev,evals,serve,mcp,postgres]"
	@touch $(VENV)/.core $@

$(VENV)/.local: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[dev,evals,serve,mcp,local,postgres,studio,browser,fuzz]"
	@touch $(VENV)/.core $(VENV)/.dev $@

clean:
	rm -rf $(VENV)
