# From a fresh clone with Python 3.11 and make alone:
#   make demo         an Airflow and a local Sixtyfour API; runs a workflow, lands its files in ./demo-output/;
#                     KEEP=1 leaves both up until Ctrl-C, to look around
#   make test         unit tests, the example Dags, then end-to-end tests on a real Airflow
#   make test-matrix  unit tests and example Dags on each older Airflow
#   make test-cluster durability, the cancel matrix and backfills, on PostgreSQL, Celery and Redis
#   make test-stores  transfers to and from real S3, Azure and Google servers
#   make test-browser the tab in Airflow's UI, in Chromium, on the newest Airflow and on the oldest that has tabs
#   make screenshots  makes the pictures in docs/ of it
#   make docs         the documentation as a site in docs/_build/html, its links checked and its tutorial run
#   make dist         the files of a release in dist/, checked
#   make locks        what the environments hold, in locks/, after a change of pyproject.toml or of a version here
#   make lint         ruff and mypy --strict
#   make bench        what importing the operators costs
#   make bench-waiting  what waiting for a thousand runs costs; WAITING="--runs 300 5000 --ends slow" for others
#   make bench-batches  a million rows split, uploaded, and enriched in 200 batches on a real Airflow;
#                     BATCHES="--parts split upload", or BATCHES="--rows 40000 --batches 8" for less
#   make bench-hostile  what hostile answers of the API cost other waiting tasks
#   make bench-tab    how long the tab's endpoint takes for a thousand batches
#   make bench-transfer  how fast result files land, compared with curl and boto3; TRANSFER="--mebibytes 200" for less
# All that these make lies under the clone; `make clean` removes it.

PYTHON := $(shell for each in python3.11 python3; do $$each -c '' 2>/dev/null && { echo $$each; break; }; done)
VENV := .venv

# Airflow asks to be installed with a constraints file of its release, which is fetched from the network. A date does
# the same with the package index alone: nothing newer is installed, so that a later build gets what this one got.
NEWEST := 2026-11-22
UV_VERSION := 0.13.9

AIRFLOW_VERSION := 3.3.2
MATRIX := 2.11.2 3.0.6 3.1.8 3.2.2
# These two break with what came out later.
NEWEST_3.0.6 := 2025-09-15
NEWEST_3.2.2 := 2026-06-01
# The environment of the cluster tests and of the batches' benchmark, and the Debian packages that they start servers of.
CLUSTER := .venvs/cluster
CLUSTER_PACKAGES := postgresql redis-server
# The environment of the waiting benchmark, and the provider that it is compared with.
BENCH := .venvs/bench
BENCH_PEER := apache-airflow-providers-dbt-cloud==4.11.1
WAITING :=
# The environment of the stores' tests, the Debian packages that Azurite runs on, and its version.
STORES := .venvs/stores
STORES_PACKAGES := nodejs npm
AZURITE_VERSION := 3.37.0
# The environment of the documentation: an Airflow, since the reference is made of the code.
DOCS := .venvs/docs
# The Airflow besides the newest that the browser's tests run on, and the Debian package that they start.
BROWSER_TOO := 3.1.8
BROWSER_PACKAGES := chromium
TRANSFER :=
BATCHES :=
# Provider packages that must be newer than that: Airflow 3.0 and 3.2 run with them, and this provider needs them.
NEWER_ANYWAY := apache-airflow-providers-common-compat

# uv trusts certificates of its own by default, pip the system's too: behind a proxy whose CA is in the
# system's store alone, uv would fail where pip works.
export UV_SYSTEM_CERTS := true

export UV_CACHE_DIR := $(CURDIR)/.cache/uv
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export MYPY_CACHE_DIR := $(CURDIR)/.cache/mypy
export npm_config_cache := $(CURDIR)/.cache/npm
export RUFF_CACHE_DIR := $(CURDIR)/.cache/ruff
# A short name: the path of a Unix socket made in here has 107 bytes at most.
export TMPDIR := $(CURDIR)/.tmp

# What each environment holds is locked: for Python 3.11 on this platform, and where people develop for any.
LOCKS := $(AIRFLOW_VERSION) $(MATRIX) cluster stores docs bench
# Of each: what it is made for, and what of pyproject.toml it takes.
WANTED_cluster := apache-airflow[celery,postgres]==$(AIRFLOW_VERSION)
WANTED_bench := apache-airflow==$(AIRFLOW_VERSION) $(BENCH_PEER)
WANTED_stores := apache-airflow==$(AIRFLOW_VERSION)
WANTED_docs := apache-airflow==$(AIRFLOW_VERSION)
TAKES_$(AIRFLOW_VERSION) := --extra emulator --group dev --group browser
TAKES_$(BROWSER_TOO) := --group dev --group browser
TAKES_cluster := --extra emulator --group dev
TAKES_bench := --extra emulator
TAKES_stores := --extra emulator --extra s3 --extra gcs --extra azure --extra parquet --group dev --group stores
TAKES_docs := --extra emulator --group dev --group docs
FOR_ANY_PLATFORM := $(AIRFLOW_VERSION) docs

# --compile-bytecode: where PYTHONDONTWRITEBYTECODE is set, every start of Airflow would compile it again (4 s).
INSTALL = $(VENV)/bin/uv pip install --quiet --compile-bytecode --no-deps --exclude-newer $(NEWEST) --editable .

.PHONY: demo environments test test-unit test-e2e test-e2e-output-together test-matrix test-cluster cluster-packages test-stores test-browser test-browser-newest browser-packages screenshots lint docs docs-site dist locks bench bench-waiting bench-batches bench-hostile bench-tab bench-transfer clean
.DELETE_ON_ERROR:

# All environments of the tests; with --jobs, side by side.
environments: $(VENV)/.installed $(MATRIX:%=.venvs/%/.installed) $(CLUSTER)/.installed $(STORES)/.installed $(DOCS)/.installed

demo: export KEEP := $(KEEP)
demo: $(VENV)/.installed
	$(VENV)/bin/python -m demo

# What needs servers of its own is left out of the unit tests.
UNIT_TESTS := tests/example_dags tests $(addprefix --ignore tests/,e2e cluster stores browser docs)

# Six at a time: most of them wait. A process takes its tests in order, and from others when it has none left.
PROCESSES := 6
SIDE_BY_SIDE = --numprocesses $(PROCESSES) --dist worksteal

# Side by side, since the end-to-end tests mostly wait: they go first, and what they print follows as a whole.
test: $(VENV)/.installed
	$(MAKE) --no-print-directory --jobs=2 --keep-going UNIT_PRIORITY=nice test-unit test-e2e-output-together

test-e2e-output-together: $(VENV)/.installed
	@$(MAKE) --no-print-directory $(if $(filter output-sync,$(.FEATURES)),--output-sync) test-e2e

test-unit: $(VENV)/.installed
	$(UNIT_PRIORITY) $(VENV)/bin/python -m pytest $(SIDE_BY_SIDE) $(UNIT_TESTS)

# Two at a time, each with an Airflow of its own.
test-e2e: $(VENV)/.installed
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist worksteal tests/e2e

# Two at a time, each with its output in one piece where this make can do that.
test-matrix: $(VENV)/.installed
	$(MAKE) --jobs=2 --keep-going $(if $(filter output-sync,$(.FEATURES)),--output-sync) $(MATRIX:%=test-matrix-%)

# Logic that meets neither Airflow nor a library that Airflow pins: tested once, by test-unit.
WITHOUT_AIRFLOW := tests/unit/polling tests/unit/batches tests/unit/storage
# What meets such a library, but not Airflow: also with the oldest ones.
WITHOUT_AIRFLOW_BUT_ITS_LIBRARIES = $(if $(filter-out $(firstword $(MATRIX)),$*),$(addprefix tests/unit/,api inputs results runs workflows))

# What depends on Airflow. The local Sixtyfour API runs in $(VENV), whichever Airflow is under test. Exported, not put
# before the command: so there is no shell between this make and pytest, and who stops the one stops the other.
test-matrix-%: PROCESSES = 3
test-matrix-%: export SIXTYFOUR_EMULATOR_PYTHON = $(CURDIR)/$(VENV)/bin/python
test-matrix-%: .venvs/%/.installed $(VENV)/.installed
	.venvs/$*/bin/python -m pytest --quiet $(SIDE_BY_SIDE) tests/example_dags tests/unit \
	  $(addprefix --ignore ,$(WITHOUT_AIRFLOW) $(WITHOUT_AIRFLOW_BUT_ITS_LIBRARIES))

test-cluster: $(CLUSTER)/.installed cluster-packages
	$(CLUSTER)/bin/python -m pytest tests/cluster

# The tests start servers of their own; whatever Debian's packages may have started is left alone.
cluster-packages:
	@test -n "$$(ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" && command -v redis-server >/dev/null || \
	{ test "$$(id -u)" = 0 || { echo "PostgreSQL and Redis are needed, in the packages $(CLUSTER_PACKAGES): install them, as root"; exit 1; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(CLUSTER_PACKAGES); }

test-stores: $(STORES)/.installed
	$(STORES)/bin/python -m pytest tests/stores

# Both at a time: they mostly wait for runs.
test-browser: $(VENV)/.installed browser-packages
	$(MAKE) --jobs=2 --keep-going $(if $(filter output-sync,$(.FEATURES)),--output-sync) test-browser-newest test-browser-$(BROWSER_TOO)

test-browser-newest: $(VENV)/.installed
	$(VENV)/bin/python -m pytest tests/browser

test-browser-$(BROWSER_TOO): export SIXTYFOUR_EMULATOR_PYTHON = $(CURDIR)/$(VENV)/bin/python
test-browser-$(BROWSER_TOO): .venvs/$(BROWSER_TOO)/.installed $(VENV)/.installed
	.venvs/$(BROWSER_TOO)/bin/python -m pytest tests/browser

browser-packages:
	@command -v chromium >/dev/null || \
	{ test "$$(id -u)" = 0 || { echo "Chromium is needed, in the package $(BROWSER_PACKAGES): install it, as root"; exit 1; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(BROWSER_PACKAGES); }

screenshots: browser-packages test-browser-newest
	cp .airflow/browser-$(AIRFLOW_VERSION)/screenshots/running.png docs/tab-running.png
	cp .airflow/browser-$(AIRFLOW_VERSION)/screenshots/finished-dark.png docs/tab-finished.png

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: docs-site
	$(DOCS)/bin/codespell
	$(DOCS)/bin/python -m pytest tests/docs

# Warnings are errors: of them, a link within the documentation that leads nowhere.
docs-site: export AIRFLOW_HOME = $(CURDIR)/.airflow/docs
docs-site: $(DOCS)/.installed
	$(DOCS)/bin/python -m sphinx --builder html --fail-on-warning --keep-going --fresh-env --quiet docs docs/_build/html

dist: $(DOCS)/.installed
	rm -rf dist
	$(DOCS)/bin/python -m build --installer uv --outdir dist .
	$(DOCS)/bin/python -m twine check --strict dist/*

bench: $(VENV)/.installed
	$(VENV)/bin/python benchmarks/import_cost.py

bench-waiting: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks.waiting $(WAITING)

bench-batches: $(CLUSTER)/.installed cluster-packages
	$(CLUSTER)/bin/python -m benchmarks.batches $(BATCHES)

bench-tab: $(CLUSTER)/.installed cluster-packages
	$(CLUSTER)/bin/python -m benchmarks.tab

bench-hostile: $(VENV)/.installed
	$(VENV)/bin/python -m benchmarks.hostile_answers

bench-transfer: $(STORES)/.installed
	$(STORES)/bin/python -m benchmarks.transfer $(TRANSFER)

clean:
	rm -rf .venv .venvs .cache .airflow .tmp demo-output dist docs/_build docs/_generated

.tmp:
	mkdir -p $@

# pip asks rustc for its version, and rustup's makes a folder in the home directory even for that.
$(VENV)/bin/uv: export RUSTUP_HOME = $(CURDIR)/.cache/rustup
$(VENV)/bin/uv: | .tmp
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Stamps: an environment is made again when what it holds changes.
$(VENV)/.installed: pyproject.toml locks/$(AIRFLOW_VERSION).txt | $(VENV)/bin/uv
	$(INSTALL) --python $(VENV)/bin/python --requirements locks/$(AIRFLOW_VERSION).txt
	touch $@

.PRECIOUS: .venvs/%/.installed
.venvs/%/.installed: pyproject.toml locks/%.txt | $(VENV)/bin/uv
	$(VENV)/bin/uv venv --quiet --clear --python $(VENV)/bin/python .venvs/$*
	$(INSTALL) --python .venvs/$*/bin/python --requirements locks/$*.txt
	touch $@

$(STORES)/.installed: pyproject.toml locks/stores.txt | $(VENV)/bin/uv
	@command -v npm >/dev/null || \
	{ test "$$(id -u)" = 0 || { echo "test-stores needs the packages $(STORES_PACKAGES): install them, as root"; exit 1; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(STORES_PACKAGES); }
	$(VENV)/bin/uv venv --quiet --clear --python $(VENV)/bin/python $(STORES)
	$(INSTALL) --python $(STORES)/bin/python --requirements locks/stores.txt
	npm install --silent --no-audit --no-fund --prefix $(STORES)/azurite azurite@$(AZURITE_VERSION)
	touch $@

locks: $(LOCKS:%=lock-%)

lock-%: | $(VENV)/bin/uv
	printf '%s\n' $(patsubst %,'%',$(or $(WANTED_$*),apache-airflow==$*)) | \
	$(VENV)/bin/uv pip compile --quiet --python-version 3.11 $(if $(filter $*,$(FOR_ANY_PLATFORM)),--universal) \
	  --no-header --no-annotate --exclude-newer $(or $(NEWEST_$*),$(NEWEST)) \
	  --exclude-newer-package "$(NEWER_ANYWAY)=$(NEWEST)" $(or $(TAKES_$*),--group dev) \
	  --output-file locks/$*.txt pyproject.toml -
