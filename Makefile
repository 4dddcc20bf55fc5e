# Everything a developer or an operator of one machine does; `make` alone lists it.

.DEFAULT_GOAL := help
SHELL := /bin/sh
UV_VERSION := 0.13.9
PYTHON := .venv/bin/python
# Programs of the virtual environment, also where others call them by name.
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
UV_SYNC := .venv/bin/uv sync --frozen --inexact --quiet

.PHONY: api-fuzz bench clients-test garbage-mutations garbage-soak compose-test conformance demo help setup run test lint types format migrations translations packages-run packages-test
.PHONY: translate check-static test-sqlite test-postgresql test-live

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: packages-test .venv/.synced-dev .venv-clients/.synced translate ## Install all that developing needs: packages, .venv, translations

run: packages-run .venv/.synced-run translate ## Run Moorage here: http://127.0.0.1:8080, state in ./var, Ctrl-C stops it
	@exec $(PYTHON) manage.py up

test: setup ## Run every check and test, as continuous integration does
	@status=0; \
	for suite in check-static test-sqlite test-postgresql test-live; do \
	  echo "== $$suite"; \
	  $(MAKE) --no-print-directory $$suite || status=1; \
	done; \
	exit $$status

lint: setup ## Check style, formatting and the layers
	@ruff check .
	@ruff format --check .
	@lint-imports

types: setup ## Check the types
	@mypy .

format: setup ## Format the code and sort the imports
	@ruff check --fix-only --quiet .
	@ruff format .

migrations: setup ## Write the migrations that the models lack (NAME=… names them)
	@$(PYTHON) manage.py makemigrations $(if $(NAME),--name $(NAME))

bench: setup ## Measure against the bare registry and write docs/benchmarks.md
	@deploy/install bench
	@$(PYTHON) -m bench

demo: packages-run .venv/.synced-run ## Push small demonstration images into the running Moorage
	@$(PYTHON) manage.py demo

clients-test: setup ## Drive the stack with docker's engine, podman, containerd, oras, and with Go crane, helm, cosign
	@deploy/install clients
	@MOORAGE_TEST_DATABASE=sqlite pytest -m clients tests/live/test_clients.py tests/live/test_go_clients.py tests/live/test_go_registry.py tests/live/test_mirror.py

compose-test: setup ## Bring docker-compose.yml up in a Docker engine of its own and use it (minutes)
	@deploy/install compose
	@MOORAGE_TEST_DATABASE=sqlite pytest -m compose tests/live/test_compose.py

api-fuzz: setup ## Send the API many requests made from its description and Harbor's contract (minutes)
	@for database in sqlite postgresql; do \
	  run="pytest -q -n 2 tests/portal/api/test_fuzz.py tests/portal/api/test_fuzz_contract.py"; \
	  if [ $$database = postgresql ]; then run="$(PYTHON) -m tests.postgres $$run"; fi; \
	  MOORAGE_TEST_DATABASE=$$database MOORAGE_TEST_FUZZ=$${EXAMPLES:-200} $$run || exit 1; \
	done

garbage-mutations: setup ## Switch each rule of collection off; a test must notice (half an hour)
	@$(PYTHON) -m tools.garbage_mutations

garbage-soak: setup ## Push, delete and restore while collection runs over and over (ten minutes)
	@$(PYTHON) -m bench.garbage_soak 300 86400
	@$(PYTHON) -m bench.garbage_soak 300 10
	@MOORAGE_TEST_SOAK=20 MOORAGE_TEST_DATABASE=sqlite pytest -q tests/live/test_garbage_model.py

conformance: setup ## Run the OCI conformance suite (needs Go) and write docs/conformance.md
	@$(PYTHON) -m tools.conformance

translations: setup ## Collect the texts of code and templates into locale/*/LC_MESSAGES/*.po
	@deploy/install gettext
	@$(PYTHON) manage.py makemessages --all --no-obsolete --no-wrap --add-location file --ignore .venv --ignore .venv-clients --ignore var --ignore tests
	@$(PYTHON) tools/compile_translations.py

# --- The parts of the above -------------------------------------------------------------------

packages-run:
	@deploy/install run

packages-test:
	@deploy/install test

.venv/bin/python:
	@deploy/install run
	@echo "moorage: making .venv" >&2
	@python3 -m venv .venv

.venv/bin/uv: | .venv/bin/python
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# --inexact: what another target has installed stays.
.venv/.synced-run: uv.lock | .venv/bin/uv
	@$(UV_SYNC) --no-dev
	@touch $@

.venv/.synced-dev: uv.lock | .venv/bin/uv
	@$(UV_SYNC) --all-groups
	@touch $@ .venv/.synced-run

# Harbor's client libraries pin versions that our own environment cannot have.
.venv-clients/.synced: tests/clients/requirements.txt | .venv/bin/uv
	@.venv/bin/uv venv --quiet --clear --python $(PYTHON) .venv-clients
	@.venv/bin/uv pip sync --quiet --require-hashes --python .venv-clients/bin/python $<
	@touch $@

translate:
	@$(PYTHON) tools/compile_translations.py

check-static:
	@status=0; \
	ruff check . || status=1; \
	ruff format --check . || status=1; \
	lint-imports || status=1; \
	mypy . || status=1; \
	MOORAGE_DATABASE_URL=sqlite://:memory: $(PYTHON) manage.py makemigrations --check --dry-run || status=1; \
	exit $$status

test-sqlite:
	@MOORAGE_TEST_DATABASE=sqlite pytest -m "not live and not clients and not compose" -n 2

test-postgresql:
	@$(PYTHON) -m tests.postgres pytest -m "not live and not clients and not compose" -n 2

test-live:
	@MOORAGE_TEST_DATABASE=sqlite pytest -m live -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 1 tests/live tests/contracts
