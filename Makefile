# Everything that a developer or a newcomer runs. `make site` and `make test` install what they need (Debian, Ubuntu; as root).

PYTHON ?= /usr/bin/python3
VENV   := .venv
BIN    := $(CURDIR)/$(VENV)/bin
TREE   := .build/ansible_collections/nsfleet/linux
OUTPUT := tests/output
PLAY   := ANSIBLE_COLLECTIONS_PATH=$(CURDIR)/.build ANSIBLE_CONFIG=$(CURDIR)/playbooks/ansible.cfg $(BIN)/ansible-playbook
ROUNDS ?= 10
LOCAL  := -i playbooks/inventories/local
SANDBOX := $(BIN)/python tests/support/sandbox.py
PYTEST := $(BIN)/python -m pytest -q
CASES  := $(patsubst tests/cases/test_%.py,case-%,$(wildcard tests/cases/test_*.py))

export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build

.PHONY: help site status teardown test lint unit cases bench clean $(CASES)

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

# --- a site on this machine --------------------------------------------------

site: $(VENV)/site $(TREE) ## Networks and services of playbooks/inventories/local on this machine
	$(PLAY) $(LOCAL) playbooks/site.yml

status: $(VENV)/site $(TREE) ## What runs
	$(PLAY) $(LOCAL) playbooks/status.yml

teardown: $(VENV)/site $(TREE) ## Take all of it away again
	$(PLAY) $(LOCAL) playbooks/teardown.yml

# --- tests -------------------------------------------------------------------

test: lint unit cases ## All that proves the collection on this machine

lint: $(VENV)/test $(TREE) ## Style and types
	ruff check .
	ruff format --check .
	mypy plugins/module_utils plugins/plugin_utils plugins/filter tests

unit: $(VENV)/test $(TREE) ## Tests without a kernel
	$(PYTEST) tests/unit --junit-xml=$(OUTPUT)/unit.xml

cases: $(CASES) ## Every option of every module, on the kernel of this machine

$(CASES): case-%: $(VENV)/test $(TREE)
	$(SANDBOX) $(PYTEST) tests/cases/test_$*.py --junit-xml=$(OUTPUT)/case-$*.xml

bench: $(VENV)/test $(TREE) ## Side by side with what a user would use instead (ROUNDS=10)
	PYTHONPATH=tests $(SANDBOX) $(BIN)/python tests/benchmark/run.py $(ROUNDS)

# --- what the others need ----------------------------------------------------

$(VENV)/site $(VENV)/test: $(VENV)/%: requirements/%.txt requirements/site.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# Ansible and Python find the collection by its name.
$(TREE):
	mkdir -p $(@D)
	ln -sfn ../../.. $@

clean: ## Remove what make made
	rm -rf .build .cache build $(OUTPUT) $(VENV)
