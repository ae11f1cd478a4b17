# Every target sets up what it needs. `make help` lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
LOG := $(VENV)/pip.log
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup services repro mlm ablation test test-fast test-slow test-services test-rest check lint format deps lock ui table register readme compare-teachers release promote clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# pip compiles on one core, and takes as long for it as for all the rest; where PYTHONDONTWRITEBYTECODE is set, nobody else
# would ever do it, and each process would compile torch again. Tests and the hundreds of model families that nobody loads
# are left out. Files that are no Python of this version fail, quietly.
UNUSED := /tests?/|/transformers/models/(?!auto|(al|distil|mod|ro)?bert|electra|xlm_roberta)
COMPILE = $(BIN)/python -m compileall -q -j 0 -x '$(UNUSED)' $(VENV)/lib >> $(LOG) 2>&1 || true

setup: $(VENV)/ready ## make .venv and install the pinned dependencies

$(VENV)/ready: requirements.lock pyproject.toml
	@echo "setting up $(VENV) (2 to 4 minutes; pip's own words go to $(LOG))"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --require-virtualenv --no-compile -r requirements.lock > $(LOG) 2>&1 \
		|| { tail -n 20 $(LOG); echo "setup failed: pip could not install requirements.lock"; exit 1; }
	@$(BIN)/python -m pip install --require-virtualenv --no-compile --no-deps --no-build-isolation -e . >> $(LOG) 2>&1 \
		|| { tail -n 20 $(LOG); echo "setup failed: pip could not install pipestill"; exit 1; }
	@$(COMPILE)
	@touch $@

services: $(VENV)/services ## install what a remote on S3 and test-services need on top

$(VENV)/services: $(VENV)/ready requirements-services.lock
	@$(BIN)/python -m pip install --require-virtualenv --no-compile -c requirements.lock -r requirements-services.lock >> $(LOG) 2>&1 \
		|| { tail -n 20 $(LOG); echo "setup failed: pip could not install requirements-services.lock"; exit 1; }
	@$(COMPILE)
	@touch $@

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
	@python -m pipestill.tracking register

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
	@lint-imports
	@python tools/sync_deps.py --check

format: setup ## format the code and mend what ruff can
	@ruff check --fix .
	@ruff format .

deps: setup ## write the computed dependencies into dvc.yaml
	@python tools/sync_deps.py

lock: ## pin what is installed in .venv into requirements.lock
	@$(BIN)/python tools/lock.py

readme: setup ## write the last run's table into README.md and docs/results.md, and the ablation's into docs
	@python -m pipestill.reporting readme
	@if [ -f reports/ablation/ablation.md ]; then cp reports/ablation/ablation.md docs/ablation-results.md; \
		cp reports/ablation/accuracy.png docs/images/ablation.png; fi

compare-teachers: setup ## time offline against online distillation
	@python tools/compare_teachers.py

release: setup ## release the champion: make release VERSION=1.0.0 [STAGE=prod]
	@python tools/release.py release "$(VERSION)" $(if $(STAGE),--stage $(STAGE))

promote: setup ## give a stage to a release: make promote VERSION=1.0.0 STAGE=prod
	@python tools/release.py promote "$(VERSION)" "$(STAGE)"

clean: ## delete scratch files; outs and the DVC cache stay
	rm -rf .scratch .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
