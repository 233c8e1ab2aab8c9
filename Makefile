# `make demo` and `make test` each set up .venv by themselves, once per change of the lock file.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
# Images of containers often forbid it, and then every process compiles all modules that it imports anew.
export PYTHONDONTWRITEBYTECODE =

# `make bench` measures on the CPU what results/ says of speed, start-up and memory, in less than an hour on two cores that
# do nothing else. With ORIGINAL=DIR, a checkout of the original scripts, it also measures those.
ORIGINAL ?=
BENCH := $(BIN)/python benchmarks

.PHONY: demo test test-slow lint docs bench lock clean

demo: $(STAMP)
	rm -rf runs/demo
	$(BIN)/netslim demo --save runs/demo --json runs/demo.json

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -q

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -q -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(STAMP)
	$(BIN)/sphinx-build -W -q -c docs -b html . site
	@echo "open site/docs/index.html"

bench: $(STAMP)
	$(BENCH)/startup.py
	$(BENCH)/planning.py
	$(BENCH)/floor.py
	$(BENCH)/waiting.py --epochs 1
	$(BENCH)/cost.py $(if $(ORIGINAL),--original $(ORIGINAL))
	$(BENCH)/small_network.py --networks 'resnet-164|vgg' --seconds 0.5
	$(BENCH)/small_network.py --one-by-one --threads 1 --out results/small_network_one_thread.csv
	$(if $(ORIGINAL),$(BENCH)/training_step.py $(ORIGINAL) --rounds 5 --steps 3)
	$(if $(ORIGINAL),$(BENCH)/epoch.py $(ORIGINAL) --rounds 1)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "netslim needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(shell sed -n 's/^uv==//p' requirements.lock)
	$(BIN)/uv pip sync --quiet --system-certs --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra export --extra integrations --extra openvino --extra slurm --extra tensorboard --extra wandb --extra mlflow \
		--no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) runs site
