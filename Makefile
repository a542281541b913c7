# Every target sets itself up: all it takes is Python 3.11 or newer and make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$p; break; fi; done)
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= 2

.PHONY: help demo demo-kafka test test-kafka test-readers smoke-kafka test-docker check format bench long sabotage build lock clean

help: ## What can be made.
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation
$(READY): requirements/build.txt requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; set PYTHON=.." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements/build.txt
	$(PIP) --require-hashes -r requirements/dev.txt
	PYTHONWARNINGS=ignore $(PIP) --no-deps --editable .
	touch $@

demo: $(READY) ## A year of New York's departures, replayed, killed, resumed, rewound.
	$(BIN)/python -m examples.flights

demo-kafka: $(READY) ## The same on a real Kafka (Docker if it runs, else jars), read by a stock consumer.
	$(BIN)/python -m examples.flights --kafka here

test: $(READY) ## All tests that need no broker; within ten minutes on two cores.
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m "not broker and not docker and not registry and not readers"

# A Kafka of its own for each worker: from jars where Java 17 and Maven are, else by Docker; without
# one they fail, unless HEADWATER_REQUIRE_KAFKA is set to nothing.
KAFKA_TESTS = HEADWATER_REQUIRE_KAFKA=$${HEADWATER_REQUIRE_KAFKA-1} \
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "(broker or registry) and not readers" $(AGAIN)
test-kafka: $(READY) ## All tests on a real Kafka: contracts, scenarios, histories, crashes.
	$(KAFKA_TESTS)

# Java 17 and 21, Maven and PostgreSQL, by apt where they are missing; 400 MB of jars, once.
READER_PROGRAMS = mvn /usr/lib/postgresql/*/bin/postgres
test-readers: $(READY) ## Unmodified programs of others that read our topics: Kafka Connect into PostgreSQL.
	@for program in $(READER_PROGRAMS); do \
		ls $$program >/dev/null 2>&1 || command -v $$(basename $$program) >/dev/null || missing=1; \
	done; test -z "$${missing-}" || { apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends maven default-jdk-headless postgresql; }
	HEADWATER_REQUIRE_KAFKA=1 HEADWATER_REQUIRE_READERS=1 $(BIN)/python -m pytest -q -m readers

smoke-kafka: $(READY) ## The log's contract, scenarios, random histories, the adapter's own tests on a real Kafka.
	$(KAFKA_TESTS) tests/contract/test_log.py tests/contract/test_adopting.py \
		tests/integration tests/sql/test_scenarios.py tests/property/test_machine_kafka.py

# Without a Docker daemon it brings one: Debian's packages, as root; images are built from the jars.
test-docker: $(READY) ## Containers and docker-compose.yml on a real Docker daemon.
	tests/docker.sh tests/integration/test_kafka_container.py tests/integration/test_compose.py

check: $(READY) ## Format, lint, types by two checkers, import directions.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	PYTHONPATH=typings $(BIN)/lint-imports

format: $(READY) ## Rewrite the code as `check` wants it.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## The figures of docs/PERFORMANCE.md, each beside its floor.
	$(BIN)/python -m benchmarks

long: $(READY) ## The long runs: hours of kills, cuts and random histories.
	HEADWATER_KILLS=5000 HEADWATER_FAILPOINT_HITS=50 HEADWATER_CUTS=20000 \
		HEADWATER_MACHINES=2000 HEADWATER_WALKS=6000 HEADWATER_STEPS=100 HEADWATER_HYPOTHESIS=random \
		HEADWATER_KAFKA_MACHINES=300 HEADWATER_KAFKA_KILLS=100 HEADWATER_NEW_BROKERS=30 \
		$(BIN)/python -m pytest -q -n $(WORKERS) tests/faults tests/property

sabotage: $(READY) ## Break the code on purpose, one way at a time; each must turn tests red.
	$(BIN)/python tests/sabotage.py

build: $(READY) ## The sdist and the wheel, in dist/.
	rm -rf build dist
	$(BIN)/python -m build --no-isolation

LOCK := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--resolver=backtracking --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: $(READY) ## Pin what pyproject.toml asks for, with hashes. UPGRADE=1 takes the newest.
	mkdir -p build
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['dev'], sep='\n')" > build/dev.in
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) $(if $(UPGRADE),--upgrade) \
		--output-file requirements/runtime.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) $(if $(UPGRADE),--upgrade) --all-extras \
		--constraint requirements/runtime.txt --output-file requirements/dev.txt \
		pyproject.toml build/dev.in
	printf 'pip\nsetuptools\nwheel\n' | CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) \
		--constraint requirements/dev.txt --output-file requirements/build.txt -

clean: ## Remove the environment, caches and what was built.
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
