# Everything from nothing: Python 3.11 or newer, make and a C++ compiler are all that has to be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

COMPILED := CMakeLists.txt $(wildcard csrc/*.cpp csrc/include/* csrc/cells/*)

.PHONY: demo test clean

demo: $(VENV)/ready
	$(BIN)/headgate demo --out demo

test: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

$(VENV)/ready: pyproject.toml constraints.txt $(COMPILED)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("headgate needs Python 3.11 or newer, but $(PYTHON) is %d.%d; set PYTHON=..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all,test]'
	touch $@

clean:
	rm -rf $(VENV) build demo
