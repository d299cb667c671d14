# Everything a developer or CI runs; `make help` lists it. Set-up happens by itself (packaging/bootstrap).
BIN := .venv/bin
ROUNDS ?= 20
SHELL_SCRIPTS := git -c safe.directory='*' ls-files -z --cached --others --exclude-standard | xargs -0 shfmt -f

.DEFAULT_GOAL := help
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: ready-run ## deploy a small site twice under a scratch folder, then a broken one
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

.PHONY: test
test: ready-test lint-all ## everything: lint and all tests but the long sweeps (under 15 minutes)
	$(BIN)/pytest

.PHONY: check
check: ready-check lint-all ## format, lint, types, unit tests (under a minute)
	$(BIN)/pytest -q tests/unit tests/test_layers.py

.PHONY: lint
lint: ready-check lint-all ## format, lint and types only

.PHONY: format
format: ready-check ## rewrite the sources in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .
	$(SHELL_SCRIPTS) | xargs shfmt -w

.PHONY: bench
bench: ready-check ## measure against tar, unzip and cp; BENCH='--quick' for a short one
	$(BIN)/python -m benchmarks $(BENCH)

.PHONY: crash-sweep
crash-sweep: ready-test ## kill an Install at every step and system call (long)
	$(BIN)/pytest -m "campaign or not campaign" tests/crash

.PHONY: fuzz
fuzz: ready-check ## property tests over and over, each time with other examples (long); ROUNDS=20
	for round in $$(seq $(ROUNDS)); do $(BIN)/pytest -q -m hypothesis tests/unit || exit 1; done

.PHONY: clean
clean: ## remove everything that the other targets made in this folder
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: lint-all
lint-all:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(SHELL_SCRIPTS) | xargs shfmt -d
	$(SHELL_SCRIPTS) | xargs shellcheck

.PHONY: ready-run ready-check ready-test
ready-run ready-check ready-test: ready-%:
	@sh packaging/bootstrap $*
