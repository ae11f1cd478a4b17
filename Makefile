# Every target sets up what it needs. `make help` lists them.
NAMED := $(PYTHON)
VENV ?= .venv
BIN := $(VENV)/bin
# The first of these that is there, runs and fits; a .venv keeps the Python that it has.
PYTHON ?= $(wildcard $(BIN)/python) python3.11 python3.12 python3.13 python3
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup services named-python repro mlm ablation test test-fast test-slow test-services test-rest check lint format deps lock ui table register readme recipes compare-teachers release promote clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready ## make .venv and install the pinned dependencies: make setup [PYTHON=python3.12]

# A Python that somebody names is asked for each time: .venv is made anew where it holds another one.
$(VENV)/ready: requirements.lock pyproject.toml $(if $(NAMED),named-python)
	@python=$$(sh tools/find_python.sh $(PYTHON)) && "$$python" tools/setup_venv.py $(VENV)

services: $(VENV)/services ## install what a remote on S3 and test-services need on top

$(VENV)/services: $(VENV)/ready requirements-services.lock
	@$(BIN)/python tools/setup_venv.py $(VENV) --services

repro: setup ## run the pipeline, show how far it is, then the table
	@python -m pipestill.settings
	@python -m pipestill.repro

mlm: setup ## distil a task-agnostic student, which students can begin as (docs/mlm.md)
	@dvc repro pipelines/mlm/dvc.yaml
	-@python -m pipestill.tracking sync

ablation: setup ## measure every student with every recipe, on what the pipeline made (under two hours)
	@dvc repro pipelines/ablation/dvc.yaml
	-@python -m pipestill.tracking sync
	@cat reports/ablation/ablation.md

table: setup ## show the full table of the last run, with the wall time of each stage
	@python -m pipestill.reporting show

ui: setup ## open MLflow on the runs
	@python -m pipestill.tracking ui

register: setup ## put the champion into MLflow's registry; champion there too, if it passes the gate
	@python -m pipestill.registry

test: setup ## run the tests, the pipeline on tiny data among them; all but test-slow and test-services
	@pytest $(PARALLEL) -m "not slow and not services" --durations=15 --cov --cov-report=
	@coverage report --fail-under=90

test-slow: setup ## run the tests of other pipelines, of equal bytes, of memory at many rows, of ranks and queues
	@pytest $(PARALLEL) -m slow --durations=15

test-fast: setup ## run the tests that take seconds
	@pytest $(PARALLEL) -m "not pipeline and not slow and not services" --durations=5

test-services: services ## run the tests that need S3, PostgreSQL, Node or Chromium; root on Debian gets them by apt-get
	@python tools/programs.py --install
	@pytest $(PARALLEL) -m services --durations=15

test-rest: services ## test-slow and test-services at once, which is sooner than one after the other
	@python tools/programs.py --install
	@pytest $(PARALLEL) -m "slow or services" --durations=20

# `make test check` runs the fast tests once.
check: lint $(if $(filter test,$(MAKECMDGOALS)),,test-fast) ## format, lint, types, import contracts, dvc.yaml, fast tests

lint: setup ## all of check but the tests
	@ruff format --check .
	@ruff check .
	@mypy
	@mypy --python-version 3.10 src/pipestill/predict src/pipestill/signing src/pipestill/command.py
	@lint-imports
	@python tools/sync_deps.py --check

format: setup ## format the code and mend what ruff can
	@ruff check --fix .
	@ruff format .

deps: setup ## list a new student's, teacher's or cell's files in dvc.yaml
	@python tools/sync_deps.py

lock: ## pin what is installed in .venv into requirements.lock
	@$(BIN)/python tools/lock.py

readme: setup ## write the last run's table into README.md and docs/results.md, and the ablation's into docs
	@python -m pipestill.reporting readme
	@if [ -f reports/ablation/ablation.md ]; then cp reports/ablation/ablation.md docs/ablation-results.md; \
		cp reports/ablation/accuracy.png docs/images/ablation.png; fi

recipes: setup ## write docs/recipes/README.md from recipes/
	@python tools/recipes.py page

compare-teachers: setup ## time offline against online distillation
	@python tools/compare_teachers.py

release: setup ## release the champion: make release VERSION=1.0.0 [STAGE=prod] [KEY=private.pem]
	@python tools/release.py release "$(VERSION)" $(if $(STAGE),--stage $(STAGE)) $(if $(KEY),--key "$(KEY)")

promote: setup ## give a stage to a release: make promote VERSION=1.0.0 STAGE=prod
	@python tools/release.py promote "$(VERSION)" "$(STAGE)"

clean: ## delete scratch files; outs and the DVC cache stay
	rm -rf .scratch .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
