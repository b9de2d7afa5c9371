# make book: set up and build the site.    make test: set up and pass every test.    make help: the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# Two threads are slower than one at the sizes of this course, and much slower on a busy machine.
export OMP_NUM_THREADS := 1
# A progress bar appears after two seconds, so on a slow machine it would be an output that is not stored.
export TQDM_DISABLE := 1
# Chromium and the notebooks need no network; a proxy must not stand between them and localhost.
export NO_PROXY := localhost,127.0.0.1
export no_proxy := localhost,127.0.0.1

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
SITE := _build/html
CHAPTERS := $(sort $(wildcard book/[0-9][0-9]-*.ipynb))
NBVAL := $(BIN)/pytest --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg \
	--nbval-cell-timeout 300 -n 2 --dist loadscope

.PHONY: help book serve test test-unit test-notebooks test-browser test-cpus ci mutants lint format notebooks pages exercises records replication bench clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

# ---------------------------------------------------------------------------------------------------------- the site

book: .venv/.installed ## build the site and say where to open it
	@rm -rf $(SITE) # a page that was removed must not live on, and changed style sheets must be copied
	@$(BIN)/jupyter-book build . -W -n --keep-going --quiet >/dev/null
	@echo "The book is built: open $(CURDIR)/$(SITE)/index.html (or type make serve)"

serve: book ## build the site and serve it on this machine
	@echo "Serving on http://localhost:$(PORT)/ (stop with Ctrl-C)"
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

# --------------------------------------------------------------------------------------------------------- the tests

test: lint test-unit test-notebooks test-browser ## every test

test-unit: .venv/.installed ## unit, property and script tests
	$(BIN)/pytest tests --ignore=tests/browser -n 2

test-notebooks: .venv/.installed ## run every chapter and compare every output
	$(if $(CHAPTERS),$(NBVAL) $(CHAPTERS),@echo "no chapters yet")

test-browser: book ## the built site in headless Chromium, network blocked
	$(if $(wildcard tests/browser/test_*.py),$(BIN)/pytest tests/browser -n 2,@echo "no browser tests yet")

# Another processor rounds the last digits differently and training drifts apart from there. The outputs must hold anyway.
test-cpus: .venv/.installed ## the notebooks again, as on two older processors
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 $(MAKE) test-notebooks CHAPTERS='$(CHAPTERS)'
	ATEN_CPU_CAPABILITY=default $(MAKE) test-notebooks CHAPTERS='$(CHAPTERS)'

# Every test once. Of the chapters the first, fourth, ... run as on this processor, the others as on the two older ones.
THIRD = $(shell echo $(CHAPTERS) | tr ' ' '\n' | sed -n '$(1)~3p')
ci: lint test-unit test-browser ## every test once, as continuous integration runs them
	$(MAKE) test-notebooks CHAPTERS='$(call THIRD,1)'
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 $(MAKE) test-notebooks CHAPTERS='$(call THIRD,2)'
	ATEN_CPU_CAPABILITY=default $(MAKE) test-notebooks CHAPTERS='$(call THIRD,3)'

# Hundreds of small changes of the masks and the layers, each of which must turn a test red. About an hour; not in make test.
mutants: .venv/.installed ## mutation testing: writes tests/mutation/README.md, red below 90 % killed
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test,mutation]'
	$(BIN)/python tests/mutation/run.py

lint: .venv/.installed ## ruff: errors and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/.installed ## ruff: repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# -------------------------------------------------------------------------------------------------- made by the book

notebooks: .venv/.installed ## execute and normalise every chapter, then write the pages that are made from them
	$(BIN)/python -m book._scripts.notebooks
	@$(MAKE) pages

pages: .venv/.installed ## write the claims ledger, the index of figures and exercises, the bug museum and the papers' page
	for page in ledger index museum papers; do $(BIN)/python -m book._scripts.$$page; done

exercises: .venv/.installed ## make the student notebooks from their sources
	$(BIN)/python -m companion.assignments.release

records: .venv/.installed ## train every experiment anew and store its record
	$(BIN)/python -m companion.experiments

replication: .venv/.installed ## train every experiment with other seeds and judge every claim on what comes out
	$(BIN)/python -m book._scripts.replication
	@$(MAKE) pages

# PEERS is a folder with their unpacked sources, where they are not installed.
bench: .venv/.installed ## time every layer beside its peers on this machine and store the record (PEERS=folder)
	$(BIN)/python -m companion.bench --json companion/bench/records/cpu-default.json $(if $(PEERS),--peers $(PEERS))
	$(BIN)/python -m companion.bench --keep-memory --json companion/bench/records/cpu-kept.json $(if $(PEERS),--peers $(PEERS))
	$(BIN)/python -m book._scripts.benchmarks

clean: ## remove what was built
	rm -rf _build build dist .pytest_cache .hypothesis .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 -r rm -rf

distclean: clean ## remove the environment too
	rm -rf .venv *.egg-info

# ------------------------------------------------------------------------------------------------------------ set-up

# torch comes first, in its own step, as the CPU build. uv knows where PyTorch keeps it; where that place cannot be
# reached, pip takes the torch that it is configured to find, which on Linux may be the larger build with CUDA.
.venv/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || \
	  { echo "Python 3.11 or later is needed: apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed, this is $$($(PYTHON) -V): apt install python3.11-venv, then make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: apt install python3-venv"; exit 1; }
	@echo "Setting up .venv (about 1.5 GB, some minutes on the first run)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt uv
	@$(BIN)/python -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null || \
	  UV_HTTP_TIMEOUT=30 UV_HTTP_RETRIES=0 $(BIN)/uv pip install -q --python $(BIN)/python \
	    --torch-backend cpu -c constraints.txt torch 2>/dev/null || \
	  { echo "PyTorch's own CPU builds cannot be reached: taking the torch that pip finds (on Linux it may bring CUDA)"; \
	    $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[book,test]'
	@touch $@
