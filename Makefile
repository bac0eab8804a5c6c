# Two commands on a fresh machine: `make demo` and `make test`. Everything goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RECIPE_ARGS ?=
# Tests use one thread each, so that numbers do not depend on how many cores a machine has. Stealing work keeps a module's tests
# together, so that what they share is made once. Tests start hundreds of processes: what those import is compiled once, and kept.
ONE_THREAD := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

# What reaches every third-party library: run on the lowest versions that pyproject.toml allows, and on the newest.
REACHING := tests/cli/test_app.py tests/data tests/deltas/test_export.py tests/deltas/test_predicting.py tests/engine/test_backbone.py \
	tests/engine/test_network.py tests/models tests/report/figures/test_bars.py tests/report/figures/test_curves.py \
	tests/report/formats/test_data.py tests/report/statistics tests/report/test_frame.py tests/report/test_schema.py \
	tests/runner/test_tracking.py tests/strategies/test_packaged.py tests/tasks

.PHONY: demo test test-all test-lowest test-newest coverage test-chaos test-slurm bench docs study site lint format report table1 clean

demo: $(VENV)/ready
	$(BIN)/peftcli sweep recipes/demo.yaml
	$(BIN)/peftcli report recipes/demo.yaml
	$(BIN)/peftcli report recipes/demo.yaml --format html --to results/demo.html
	@echo "The table, the figures and the claims, as a page to open in a browser: results/demo.html"

test: $(VENV)/ready
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not bench and not chaos and not slurm and not whole"

# With the whole cross products (every strategy, kind of task and family), of which `make test` runs a covering part. Of the lives on
# a pretend GPU one in fifty; all of them with PEFTCLI_LIVES=1, which takes hours.
test-all: $(VENV)/ready
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not bench and not chaos and not slurm"

# Some of the tests on other versions than the locked ones, each in an environment of its own. torch is the locked one in both.
.venv-lowest/ready: RESOLUTION := lowest-direct
.venv-newest/ready: RESOLUTION := highest
# trackio takes no pillow 13, which the lock has: its test runs there alone.
.venv-newest/ready: EXTRAS := --extra trackio
test-newest: REACHING += tests/runner/trackers
test-lowest test-newest: test-%: .venv-%/ready
	$(ONE_THREAD) .venv-$*/bin/python -m pytest -n 2 --dist worksteal -p no:cacheprovider \
		-m "not bench and not chaos and not slurm and not whole" -k "not start_up" $(REACHING)

# pip knows where a processor's wheel of torch is, uv links what it has unpacked once into the second environment.
.venv-%/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv-$*
	.venv-$*/bin/python -m pip install --quiet uv
	.venv-$*/bin/python -m pip download --quiet --no-deps --dest .venv-$*/wheels $$(grep '^torch==' requirements.lock)
	.venv-$*/bin/uv pip install --quiet --system-certs --python .venv-$*/bin/python --resolution $(RESOLUTION) \
		--requirement pyproject.toml --extra dev $(EXTRAS) .venv-$*/wheels/*.whl
	.venv-$*/bin/uv pip install --quiet --system-certs --python .venv-$*/bin/python --no-deps --editable .
	touch .venv-$*/ready

# The tests once more, with every line counted that they run, in the processes they start too: the total, least covered first.
coverage: $(VENV)/ready
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not bench and not chaos and not slurm" --cov --cov-report=
	$(BIN)/python -m coverage report --sort=cover --skip-covered

# CHAOS="chaos and not whole" leaves out what differs from another of these tests by a signal or by the number of processes alone.
CHAOS := chaos
test-chaos: $(VENV)/ready
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal -m "$(CHAOS)"

# Needs root and the Debian packages slurm-wlm and munge; starts its own daemons under a temporary folder and ends them.
test-slurm: $(VENV)/ready
	$(ONE_THREAD) $(BIN)/python -m pytest -m slurm -rs

bench: $(VENV)/ready
	$(ONE_THREAD) $(BIN)/python -m pytest -m bench
	$(BIN)/python -m tests.benchmarks

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy peftcli
	PYTHONPATH=. $(BIN)/lint-imports

# The reference of recipes and the schema that editors read, from the models that check recipes.
docs: $(VENV)/ready
	$(BIN)/python docs/make.py
	$(BIN)/python docs/tested.py

# The page about the study of minilm and its figure, from the records in results/minilm.
study: $(VENV)/ready
	$(BIN)/python docs/study.py

# Pages over the results that are committed, for any web server or none: site/index.html.
site: $(VENV)/ready
	$(BIN)/peftcli site results/minilm --to site

format: $(VENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Tables by paper: make transferability-table1, make spafit-table2, … (RECIPE_ARGS="--data-dir DIR" adds options).
%-table1 %-table2 %-table3 %-table4: $(VENV)/ready
	$(BIN)/peftcli sweep $(subst -,/,$@) $(RECIPE_ARGS)
	$(BIN)/peftcli report $(subst -,/,$@) --against paper

table1: transferability-table1 freezing-table1 effectiveness-table1

report: $(VENV)/ready
	for recipe in $$($(BIN)/peftcli list recipes | cut -d' ' -f1); do $(BIN)/peftcli report $$recipe; done

# torch comes first and by its exact version: there the processor's wheel is taken where one is at hand.
$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $$(grep '^torch==' requirements.lock)
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $(VENV)/ready

clean:
	rm -rf $(VENV) .venv-lowest .venv-newest .pytest_cache .mypy_cache .ruff_cache build dist
