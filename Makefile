# The commands of the project, the same for people and CI. `make` lists them.
# Everything is installed into .venv beside this file, and nowhere else.

PYTHON ?= python3
ARGS ?=
OUT ?= runs/demo
EPOCHS ?= 10

VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
PIP := $(RUN) pip --quiet --disable-pip-version-check --no-input

export PIP_USER := 0

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check format bench oracles clean

help:
	@echo "make demo     train SimpleConvNet on 5,000 real digits (no download), evaluate it, draw its filters"
	@echo "make test     run all tests; ARGS='-k pooling' passes on to pytest"
	@echo "make check    ruff and mypy --strict"
	@echo "make format   let ruff mend and format the sources"
	@echo "make bench    measure speed beside PyTorch: foveal bench simple --json"
	@echo "make oracles  install PyTorch into $(VENV), for the tests and benchmarks that compare with it"
	@echo "make clean    remove $(VENV), caches and runs/demo"
	@echo
	@echo "The first use sets up $(VENV). PYTHON=python3.12 chooses the interpreter (3.11 or newer)."

demo: $(VENV)/.demo
	@echo "Training; the first run on a machine also compiles the kernels, which takes some 10 seconds"
	$(BIN)/foveal train --model simple --data mnist-5k --epochs $(EPOCHS) --out '$(OUT)'
	@echo
	$(BIN)/foveal evaluate '$(OUT)/model.safetensors' --data mnist-5k
	@echo
	@echo "Open these pictures:"
	@echo "  $(OUT)/filters.png   the 30 filters of the first layer, before and after learning"
	@echo "  $(OUT)/history.png   loss and accuracy while it learned"

test: $(VENV)/.test
	$(RUN) pytest $(ARGS)

check: $(VENV)/.check
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

format: $(VENV)/.check
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: $(VENV)/.bench $(VENV)/.oracles
	@$(BIN)/foveal bench simple --json $(ARGS)

# Exactly this version: the tests were written against it, and newer ones may bring gigabytes of GPU libraries.
oracles: $(VENV)/.oracles

# One stamp for each set of packages; all of them are old when pyproject.toml is newer.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Foveal needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	@echo "Setting up $(VENV)" >&2
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo $(VENV)/.test $(VENV)/.check $(VENV)/.bench: $(VENV)/.%: $(VENV)/.made pyproject.toml
	@echo "Installing foveal with its '$*' packages into $(VENV) (a minute or two the first time)" >&2
	@$(PIP) install --editable '.[$*]'
	@touch $@

$(VENV)/.oracles: $(VENV)/.made
	@echo "Installing PyTorch 2.13.0 into $(VENV)" >&2
	@$(PIP) install torch==2.13.0
	@touch $@

clean:
	rm -rf $(VENV) dist build runs/demo .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
