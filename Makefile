# One verb per task; CI calls the same verbs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PYTEST := $(PY) -m pytest
JOBS ?= 2
# The versions that PyPI does not have; the one it has comes with the extra `codex`.
CODEX_VERSIONS := 0.142.5 0.169.0
CODEX_CACHE := .cache/codex
empty :=
comma := ,
colon = $(subst $(empty) $(empty),:,$(strip $(1)))
# As paths in CURDIR, which may hold spaces, only after they were joined.
export CODEX_NB_TEST_CODEX = $(subst @,$(CURDIR),$(call colon,$(foreach v,$(CODEX_VERSIONS),@/$(CODEX_CACHE)/$(v)/bin/codex)))

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/lab ## JupyterLab on the first notebook; HEADLESS=1 executes it as text
	@$(PY) scripts/demo.py $(if $(HEADLESS),--headless)

test: style types layers frontend unit integration notebooks browser wheel ## everything

style: $(VENV)/test ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/test ## mypy, strict
	$(BIN)/mypy

layers: $(VENV)/test ## who may import whom
	$(BIN)/lint-imports --no-cache

frontend: labextension/node_modules/.ready ## types and tests of the TypeScript, and that the committed build is its build
	cd labextension && npm run check && npm test
	$(PYTHON) scripts/check_frontend.py

unit: $(VENV)/test $(CODEX_CACHE)/ready ## fast tests
	$(PYTEST) -n $(JOBS) -m "not integration and not browser and not notebook"

integration: $(VENV)/test $(CODEX_CACHE)/ready ## tests on the real codex, all versions
	$(PYTEST) -n $(JOBS) -m integration

notebooks: $(VENV)/test $(CODEX_CACHE)/ready ## every notebook, executed
	$(PYTEST) -m notebook

browser: $(VENV)/test $(CODEX_CACHE)/ready labextension/node_modules/.ready ## the view in a real Chromium, and the whole in a real JupyterLab
	$(PYTEST) -n $(JOBS) --dist worksteal -m browser

bench: $(VENV)/test ## the claims, as ratios of one run
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) $$file; done

faults: $(VENV)/test ## every fault at every point of every cycle, on every kind of store: some 10 minutes
	$(PY) scripts/run_faults.py

race: $(VENV)/test ## 32 processes want one seed, 200 times, on every kind of store
	$(PY) -m tests.seeds.race

wheel: $(VENV)/test ## build the wheel and try it in an environment of its own
	$(PY) scripts/check_wheel.py

compat: $(VENV)/test $(CODEX_CACHE)/ready ## the wheel on the oldest JupyterLab and on Notebook 7, in a browser
	$(PY) scripts/check_compat.py

clean: ## remove what the verbs made
	rm -rf $(VENV) .cache .demo dist labextension/node_modules

# A stamp in .venv says what is installed, and a changed pyproject.toml makes it stale.
$(VENV)/base: scripts/make_venv.py
	$(PYTHON) scripts/make_venv.py $(VENV)
	touch $@

# An editable install copies the JupyterLab extension; a link in its place shows each build at once.
LABEXTENSION := $(VENV)/share/jupyter/labextensions/codex-nb
define install
	rm -rf $(LABEXTENSION)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[$(1)]'
	rm -rf $(LABEXTENSION)
	ln -s ../../../../codex_nb/labextension/lab $(LABEXTENSION)
endef

$(VENV)/lab: pyproject.toml | $(VENV)/base
	$(call install,codex$(comma)lab)
	touch $@

$(VENV)/test: pyproject.toml | $(VENV)/base
	$(call install,codex$(comma)lab$(comma)test)
	touch $@ $(VENV)/lab

$(VENV)/system: scripts/system_packages.sh | $(VENV)/base
	bash scripts/system_packages.sh
	touch $@

$(CODEX_CACHE)/ready: scripts/fetch_codex.sh | $(VENV)/system
	bash scripts/fetch_codex.sh $(CODEX_CACHE) $(CODEX_VERSIONS)
	touch $@

labextension/node_modules/.ready: labextension/package-lock.json | $(VENV)/system
	cd labextension && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

.PHONY: help demo test style types layers frontend unit integration notebooks browser bench faults race wheel compat clean
