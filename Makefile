# `make help` lists what there is. Settings come from the environment: README, "Environment".
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

MUSTER_HOME ?= $(CURDIR)/var
ARGS ?=
export MUSTER_HOME

# The first Python of this machine that is new enough; without one, the message of config/preflight.py about python3.
PYTHON ?= $(or $(shell for each in .venv/bin/python python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each config/preflight.py / >/dev/null 2>&1 && command -v $$each && break; done),python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet install
# What `check --deploy` is to judge: an installation as README describes it, not a developer's.
DEPLOYED := PUBLIC_URL=https://muster.example ALLOWED_HOSTS=muster.example BEHIND_PROXY=1 \
	SECRET_KEY=only-for-the-check-of-the-settings-0123456789-abcdefghijklmnop

.PHONY: help run demo test check fmt bench-ingest bench-people bench-upload clean preflight

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1#\2/p' Makefile | awk -F'#' '{printf "%-18s %s\n", $$1, $$2}'

run: .venv/.installed ## Start everything and print the address
	@exec $(BIN)/python manage.py up --end-with-parent

demo: .venv/.installed ## Fill a project of the running installation with a believable story
	@$(BIN)/python manage.py demo

test: .venv/.installed-dev ## Run every test, the browser's too; ARGS="-k name" runs some
	@CHROMIUM="$$($(BIN)/python -m tests.chromium)" && export CHROMIUM && exec $(BIN)/python -m pytest $(ARGS)

check: .venv/.installed-dev ## Run the linters, the types, the contracts and Django's own checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy .
	$(DEPLOYED) $(BIN)/python manage.py check --deploy --fail-level WARNING
	@# It compares the code with its migrations; that no database answers is no fault here.
	$(BIN)/python -W "ignore:Got an error checking a consistent migration history" manage.py makemigrations --check --dry-run

fmt: .venv/.installed-dev ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-ingest: .venv/.installed-dev ## Measure the ingest; MEMBERS=20000 makes it short
	@$(if $(MEMBERS),MEMBERS=$(MEMBERS) )exec $(BIN)/python -m tests.bench.ingest

bench-people: .venv/.installed-dev ## Measure Find People; PEOPLE=5000 makes it short
	@$(if $(PEOPLE),PEOPLE=$(PEOPLE) )exec $(BIN)/python -m tests.bench.find_people

bench-upload: .venv/.installed-dev ## Measure uploads to /1/ against the ingest; RECORDS=10000 makes it short
	@$(if $(RECORDS),RECORDS=$(RECORDS) )exec $(BIN)/python -m tests.bench.upload

clean: ## Remove the caches and .venv; MUSTER_HOME stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

preflight:
	@$(PYTHON) config/preflight.py "$(MUSTER_HOME)" || { \
		command -v $(PYTHON) >/dev/null || echo "Muster needs Python 3.11 or newer; this machine has no $(PYTHON)." >&2; exit 1; }

# A .venv whose Python is gone or too old is made anew.
.venv/.installed: requirements.txt | preflight
	@$(BIN)/python config/preflight.py / 2>/dev/null || { rm -rf .venv; echo "Making .venv with $(PYTHON)."; \
		$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Python's venv module is not complete here: install it (on Debian: apt-get install python3-venv)." >&2; exit 1; }; }
	@echo "Installing what Muster needs."
	@$(PIP) -r requirements.txt || { echo "The packages of requirements.txt could not be installed: see above." >&2; exit 1; }
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	@echo "Installing what the tests and checks need."
	@$(PIP) -r requirements-dev.txt || { echo "The packages of requirements-dev.txt could not be installed: see above." >&2; exit 1; }
	@touch $@
