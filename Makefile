# Everything happens in .venv; the first call sets it up, later calls find it ready.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
OUT    ?= runs/example
# Processes that share the tests; each takes about 0.6 GB.
WORKERS ?= 2
PYTEST  := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast check format bench durability clean

help:  ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## Make .venv with everything that the rest needs

$(STAMP): pyproject.toml constraints.txt scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup "$(VENV)"
	@touch $@

run: $(STAMP)  ## Make a dataset from the examples with the embedded model
	@scripts/example "$(BIN)" "$(OUT)"

test: $(STAMP)  ## Run the whole test suite (WORKERS=2 processes)
	@$(PYTEST)

test-fast: $(STAMP)  ## Run what takes a minute: no browser, no other processes, nothing slow
	@$(PYTEST) -m "not slow and not process and not browser"

check: $(STAMP)  ## Lint, formatting, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file benchmarks/mypy.ini

format: $(STAMP)  ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP)  ## Measure the agents beside their peers (DATA=folder of the datasets)
	@$(BIN)/pip install -q -c constraints.txt -r benchmarks/requirements.txt
	@for name in selection apart duplicates subspaces landing signals tie_breaks scale embedding reading; do \
	  case $$name in embedding|reading) data=;; *) data="$(if $(DATA),--data $(DATA))";; esac; \
	  echo "== $$name"; begun=$$(date +%s); \
	  $(BIN)/python benchmarks/$$name.py $$data || failed=1; \
	  echo "== $$name took $$(($$(date +%s) - begun)) s"; \
	  done; test -z "$$failed"

durability: $(STAMP)  ## Measure what docs/durability.md promises (about an hour)
	@for name in gateway_cpu gateway_rate batches faults budgets throughput resume kills; do \
	  echo "== $$name"; $(BIN)/python benchmarks/$$name.py || failed=1; done; \
	  echo "== throughput under a limit"; $(BIN)/python benchmarks/throughput.py --rpm 600 || failed=1; \
	  test -z "$$failed"

clean:  ## Remove .venv and what tools left behind
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
