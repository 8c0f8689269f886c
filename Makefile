# make demo       build, then ten blocks each of payments, of signed ones and of a Python VM, and one of Ethereum, against sequential execution
# make test       build, then what tells whether a change broke something
# make test-all   that, and then the long run: everything that is tested, with fresh seeds (tests/conftest.py)
# make test-long  the long run alone
# make wheels     a source distribution, and a wheel with a manylinux tag for this Python, in dist/
# make clean      remove what the above made

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BUILT  := $(VENV)/.built
CSRC   := $(wildcard shm/core/*.[ch] shm/core/python/*.[ch] shm/ioi_shm/include/*.h storage/core/*.[ch] storage/core/python/*.[ch] \
          tools/ioi_stress/native/*.[ch] tools/ioi_stress/native/python/*.[ch] \
          tools/ioi_stress/simulation/core/*.[ch] tools/ioi_stress/simulation/core/python/*.[ch] tools/ioi_stress/simulation/include/*.h)

.PHONY: demo test test-all test-long build wheels clean

build: $(BUILT)

$(BUILT): setup.cfg setup.py pyproject.toml $(CSRC)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,stress]'
	touch $@

demo: build
	$(BIN)/python -m tools.demo

PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

test: build
	$(PYTEST)

test-long: build
	$(PYTEST) --long

# Both, whatever the first says.
test-all: build
	$(PYTEST); short=$$?; $(PYTEST) --long && exit $$short

# auditwheel finds the oldest glibc that the wheel runs on, and names the wheel after it.
wheels: build
	rm -rf dist
	$(BIN)/python -m build --outdir dist/built .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist dist/built/*.whl
	mv dist/built/*.tar.gz dist
	rm -r dist/built

clean:
	rm -rf $(VENV) build dist *.egg-info
	find . -name '*.so' -not -path './.git/*' -delete
