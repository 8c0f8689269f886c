# make demo   build, then ten blocks of payments and ten of a Python VM, against sequential execution
# make test   build, then every test
# make clean  remove what the above made

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BUILT  := $(VENV)/.built
CSRC   := $(wildcard shm/core/*.[ch] shm/core/python/*.[ch] shm/ioi_shm/include/*.h storage/core/*.[ch] storage/core/python/*.[ch] \
          tools/ioi_stress/native/*.[ch] tools/ioi_stress/native/python/*.[ch])

.PHONY: demo test build clean

build: $(BUILT)

$(BUILT): setup.cfg setup.py pyproject.toml $(CSRC)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,stress]'
	touch $@

demo: build
	$(BIN)/python -m tools.demo

test: build
	$(BIN)/python -m pytest -n auto --dist loadfile

clean:
	rm -rf $(VENV) build *.egg-info
	find . -name '*.so' -not -path './.git/*' -delete
