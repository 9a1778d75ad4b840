# Two commands do everything: `make demo` and `make test`. PIP_FLAGS reaches pip, for instance
# PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu" for a PyTorch without CUDA.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP_FLAGS ?=
STAMP = $(VENV)/.installed
PYTEST_FLAGS ?=
BENCH_FLAGS ?=
SECONDS ?= 60
TARGETS ?=
ATHERIS = atheris==3.0.0

export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false
# Tests and stories start hundreds of processes: each would compile every module again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help install demo test test-all lint docs site bench bench-detection fuzz data-corpus data-folder clean

help: ## show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("ragguard needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt -e '.[test,lint,docs,bench]'
	@touch $@

install: $(STAMP) ## make the environment in .venv, everything pinned

demo: $(STAMP) ## watch poison being turned away from a real index
	$(BIN)/ragguard demo

test: $(STAMP) ## run the tests, a few minutes
	$(BIN)/python -m pytest -n auto --dist loadgroup -m 'not sweep' $(PYTEST_FLAGS)

test-all: test ## run the exhaustive sweeps too
	$(BIN)/python -m pytest -n auto --dist loadgroup -m sweep $(PYTEST_FLAGS)

lint: $(STAMP) ## ruff, mypy --strict, import layers, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check

docs: $(STAMP) ## write the generated pages of docs/
	$(BIN)/python docs/generate.py

site: $(STAMP) ## build the documentation as a site, in build/site
	$(BIN)/mkdocs build --strict --site-dir build/site

bench: data-corpus $(STAMP) ## ingest beside the plain pipeline, DATA=corpus.jsonl
	$(BIN)/python benchmarks/ingest_against_plain.py $(DATA) $(BENCH_FLAGS)

data-corpus:
	@test -f "$(DATA)" || { echo "make bench needs DATA=FILE, JSON lines with id and text; got '$(DATA)'. Try: make bench DATA=corpus.jsonl" >&2; exit 2; }

data-folder:
	@test -d "$(DATA)" || { echo "make bench-detection needs DATA=DIR with corpus.jsonl and attacks/*.jsonl (docs/benchmarks.md, Run it on your own corpus); got '$(DATA)'" >&2; exit 2; }

bench-detection: data-folder $(STAMP) ## what the gate finds beside published methods, DATA=DIR
	$(BIN)/ragguard bench $(DATA) --peers benchmarks/peers --cache .vectors -o bench-result $(BENCH_FLAGS)

fuzz: $(STAMP) ## fuzz every reader for SECONDS each, or TARGETS="html pdf" only
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) $(ATHERIS)
	$(BIN)/python -m tests.fuzz.run $(SECONDS) build/fuzz $(TARGETS)

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov dist build
