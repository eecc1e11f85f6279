# Two commands for a fresh machine with Python >= 3.11, pip, make and git:
#   make changes_overview   set up, train the study on two CPU cores, write its report
#   make test               set up, run the tests
SHELL := /bin/bash
PYTHON ?= python3
UV := uv==0.13.9
# Of pyproject.toml's optional dependencies: those that are locked in requirements-extras.lock.
EXTRAS := dashboard imagenet postgres ray render
# Byte code makes every later start of torch and mlflow twice as fast.
unexport PYTHONDONTWRITEBYTECODE
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true

# Nothing is installed whose hash is not in a lock, and nothing is built, which would run what has no hash.
CHECKED := --require-hashes --only-binary :all:
COMPILE := .venv/bin/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet

.DEFAULT_GOAL := changes_overview
.PHONY: changes_overview all_designs test test-slow gpu get-extras get-postgres have-postgres test-postgres get-slurm \
  have-slurm test-slurm get-ray have-ray test-ray get-browser have-browser test-browser screenshots ui chaos lint lock clean

.venv/synced: requirements.lock requirements-uv.lock pyproject.toml
	@echo "setting up .venv (about 7 GB with torch's CUDA libraries; some minutes at first)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed, $$($(PYTHON) --version) is not; set PYTHON=python3.11"; exit 2; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check $(CHECKED) -r requirements-uv.lock
	@VIRTUAL_ENV=.venv .venv/bin/uv pip sync --quiet $(CHECKED) --compile-bytecode requirements.lock
	@touch $@

changes_overview: .venv/synced
	@.venv/bin/python -m studies.run changes_overview

all_designs: .venv/synced
	@.venv/bin/python -m studies.run changes_overview --design ladder,add_one_in,leave_one_out

test: .venv/synced
	@.venv/bin/python -m pytest

test-slow: .venv/synced
	@.venv/bin/python -m pytest -m slow

chaos: .venv/synced
	@.venv/bin/python -m pytest -m slow tests/studies/test_chaos.py -n 0 -s

# All that an NVIDIA GPU can show: the tests, then the step of the deck's own sizes by precision, by parts, against the
# plain step and the floor, what it costs as sizes grow, and an evaluation.
gpu: .venv/synced
	@.venv/bin/python -m pytest -m gpu -n 0
	@for precision in float32 tf32 bfloat16; do \
	  .venv/bin/python -m tests.benchmarks.step --profile lsun64 --device cuda --set precision=$$precision all || exit; done
	@.venv/bin/python -m tests.benchmarks.scaling --profile lsun64 --device cuda --set precision=bfloat16
	@.venv/bin/python -m tests.benchmarks.evaluation --profile lsun64 --device cuda
	@.venv/bin/python -m tests.benchmarks.layers --device cuda

# The tests on real engines: get-X sees to what test-X needs, and gets Debian's packages where INSTALL=1 says so, as root;
# have-X says whether all of it is here; ONLY=a test's name runs that test alone.
INITDB := command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
CHROMIUM_HERE := test -n "$$CHROMIUM" || command -v chromium >/dev/null
MISSING = echo "error: it is not here: make get-$(@:have-%=%) INSTALL=1 gets it"; exit 2
DEBIAN := export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -y -qq --no-install-recommends
ONE := $(if $(ONLY),-k $(ONLY))

get-extras: .venv/synced
	@VIRTUAL_ENV=.venv .venv/bin/uv pip install --quiet $(CHECKED) -r requirements-extras.lock

# On a server of the tests' own: nothing has to run, nothing stays.
get-postgres: get-extras
	@$(INITDB) || { test -n "$(INSTALL)" && { $(DEBIAN) postgresql; } >/dev/null; } || \
	  { echo "error: PostgreSQL's initdb is needed: apt-get install postgresql, or make test-postgres INSTALL=1"; exit 2; }
	@.venv/bin/python -c 'import psycopg, sqlalchemy'

have-postgres: .venv/synced
	@{ $(INITDB); } && .venv/bin/python -c 'import psycopg, sqlalchemy' 2>/dev/null || { $(MISSING); }

test-postgres: get-postgres
	@.venv/bin/python -m pytest -m postgres -n 0 $(ONE) tests/engines/test_postgres.py

# Needs root: a SLURM of two nodes is started on this machine, and ended again.
get-slurm: .venv/synced
	@test "$$(id -u)" = 0 || { echo "error: root is needed to start a SLURM"; exit 2; }
	@tests/engines/slurm.sh $(if $(INSTALL),install,look)

have-slurm: .venv/synced
	@test "$$(id -u)" = 0 && tests/engines/slurm.sh look 2>/dev/null || { $(MISSING); }

test-slurm: get-slurm
	@.venv/bin/python -m pytest -m slurm -n 0 $(ONE) tests/engines/test_slurm_launcher.py

# A Ray of two nodes is started on this machine, and ended again.
get-ray: get-extras
	@.venv/bin/python -c 'import ray'

have-ray: .venv/synced
	@.venv/bin/python -c 'import ray' 2>/dev/null || { $(MISSING); }

test-ray: get-ray
	@.venv/bin/python -m pytest -m ray -n 0 $(ONE) tests/engines/test_ray_launcher.py

# In Debian's Chromium, or the one that CHROMIUM names; `make screenshots` writes docs/screenshots from the runs here.
get-browser: .venv/synced
	@$(CHROMIUM_HERE) || { test -n "$(INSTALL)" && { $(DEBIAN) chromium; } >/dev/null; } || \
	  { echo "error: a Chromium is needed: apt-get install chromium, or CHROMIUM=its path"; exit 2; }

have-browser: .venv/synced
	@$(CHROMIUM_HERE) || { $(MISSING); }

test-browser: get-browser
	@.venv/bin/python -m pytest -m browser -n 0 $(ONE) tests/engines

screenshots: .venv/synced
	@.venv/bin/python -m tests.engines.screenshots changes_overview --out docs/screenshots

# MLflow on loopback, without telemetry, with the page of the study.
ui: .venv/synced
	@.venv/bin/python -m studies.ui changes_overview

lint: .venv/synced
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

lock: .venv/synced
	@echo "$(UV)" | $(COMPILE) - -o requirements-uv.lock
	@$(COMPILE) --group dev pyproject.toml -o requirements.lock
	@.venv/bin/python -c 'import sys, tomllib; extras = tomllib.load(sys.stdin.buffer)["project"]["optional-dependencies"]; \
	  print(*(line for name in sys.argv[1:] for line in extras[name]), sep="\n")' $(EXTRAS) <pyproject.toml | \
	  $(COMPILE) --python-version 3.11 --constraints requirements.lock - -o requirements-extras.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
