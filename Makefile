# Everything that a developer or a newcomer runs. `make site` and `make test` install what they need (Debian, Ubuntu; as root).

PYTHON ?= /usr/bin/python3
VENV   := .venv
BIN    := $(CURDIR)/$(VENV)/bin
TREE   := .build/ansible_collections/nsfleet/linux
OUTPUT := tests/output
PLAY   := ANSIBLE_COLLECTIONS_PATH=$(CURDIR)/.build ANSIBLE_CONFIG=$(CURDIR)/playbooks/ansible.cfg $(BIN)/ansible-playbook
ROUNDS ?= 10
COUNT  ?= 200
SANITY ?=
PARTS  ?=
LOCAL  := -i playbooks/inventories/local
SANDBOX := $(BIN)/python tests/support/sandbox.py
PYTEST := $(BIN)/python -m pytest -q
SUPPORT := PYTHONPATH=tests $(BIN)/python -m support
EACH_CASE := $(patsubst tests/cases/test_%.py,case-%,$(wildcard tests/cases/test_*.py))
EACH_SITE := $(patsubst tests/site/test_%.py,site-%,$(wildcard tests/site/test_*.py))
LINT   := lint-ruff lint-format lint-mypy lint-ansible lint-yaml lint-shell lint-docs lint-changelog
#: What make test runs; each leaves its results in $(OUTPUT)/NAME.xml or NAME-*.xml. The longest come first.
LONGEST := site-site case-examples site-services case-container
SUITES := $(LONGEST) sanity matrix-small lint unit $(filter-out $(LONGEST),$(EACH_CASE))
#: The virtual machine is told which cases were skipped, so it comes after them; these sites keep the other processor
#: busy. site-sources takes minutes, and site-rootfs has a small part of it.
LAST   := hosts-small $(filter-out site-sources $(LONGEST),$(EACH_SITE))
#: The Python of the controller: make test leaves the others to make sanity. The oldest has a suite of its own, matrix-small.
ONE    = $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_python_version())')
#: How many of them: one more than there are processors on the smallest machine, since each waits now and then.
AT_ONCE := --keep-going --jobs=3 --output-sync=target
#: Debian packages that the tests need.
PACKAGES := apache2-utils bubblewrap busybox bzip2 conmon conntrack containerd crun curl docker-registry e2fsprogs ethtool git iproute2 iptables \
            iputils-ping lz4 mmdebstrap netavark nftables openssh-client openssh-server openssl podman procps python3-venv qemu-system-x86 qemu-utils runc \
            shellcheck skopeo umoci util-linux xz-utils zstd

# Test hosts: which cases (empty: all), on which Debian, with which control groups (docs/testing.md).
CASES  ?=
MOST   ?= 2
HOST   ?= bookworm
CGROUP ?= v2
#: Kinds of root file systems in the site of site-sources: directory archive image.
SOURCES ?= image
SHAPES := bookworm/v2 bookworm/hybrid bookworm/v1 bullseye/v2 bullseye/v1 trixie/v2
HOSTED := PYTHONPATH=tests $(BIN)/python -m hosts.cases

export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build

.PHONY: help nsrun site status teardown test packages lint $(LINT) sanity unit cases integration matrix matrix-small bench changelog clean $(EACH_CASE) \
        $(EACH_SITE) test-hosts test-hosts-all test-hosts-ansible test-hosts-small test-hosts-lacking hosts-image

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

# --- a site on this machine --------------------------------------------------

site: $(VENV)/site $(TREE) ## Networks and services of playbooks/inventories/local on this machine
	$(PLAY) $(LOCAL) playbooks/site.yml

status: $(VENV)/site $(TREE) ## What runs
	$(PLAY) $(LOCAL) playbooks/status.yml

teardown: $(VENV)/site $(TREE) ## Take all of it away again
	$(PLAY) $(LOCAL) playbooks/teardown.yml

nsrun: $(TREE) ## The runtime as one file, build/nsrun, with the command line of runc
	PYTHONPATH=.build $(PYTHON) -m ansible_collections.nsfleet.linux.plugins.module_utils._runtime.archive build/nsrun $(PYTHON)

# --- tests -------------------------------------------------------------------

test: packages ## All that proves the collection on this machine
	rm -rf $(OUTPUT)
	$(MAKE) $(VENV)/test $(TREE)
	-$(MAKE) $(AT_ONCE) $(SUITES:lint=$(LINT)) hosts-image SANITY="--python $(ONE)"
	-$(MAKE) $(AT_ONCE) $(LAST:hosts-small=test-hosts-small)
	@$(SUPPORT).summary $(OUTPUT) $(SUITES) $(LAST)

packages: ## What the tests need of the distribution; installs what is missing
	@! dpkg-query --show --showformat '$${db:Status-Status}\n' $(PACKAGES) 2>&1 | grep -qvx installed || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(PACKAGES); }

lint: $(LINT) ## Style, types, documentation

lint-ruff:      TOOL = ruff check .
lint-format:    TOOL = ruff format --check .
lint-mypy:      TOOL = mypy plugins/module_utils plugins/plugin_utils plugins/action plugins/filter tests
lint-ansible:   TOOL = ansible-lint --offline -q
lint-yaml:      TOOL = yamllint --strict .
lint-shell:     TOOL = shellcheck .ci/run $(shell git ls-files '*.sh')
lint-docs:      TOOL = antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self .
lint-changelog: TOOL = antsibull-changelog lint

$(LINT): $(VENV)/test $(TREE)
	$(SUPPORT).tool $(OUTPUT)/$@.xml $(TOOL)

sanity: $(VENV)/test ## ansible-test sanity, without an ignore file, with all Pythons (SANITY="--python 3.11")
	$(SUPPORT).sanity $(OUTPUT) $(SANITY)

unit: $(VENV)/test $(TREE) ## Tests without a kernel
	$(PYTEST) tests/unit --junit-xml=$(OUTPUT)/unit.xml

cases: $(EACH_CASE) ## Every option of every module, on the kernel of this machine

$(EACH_CASE): case-%: $(VENV)/test $(TREE)
	$(SANDBOX) $(PYTEST) tests/cases/test_$*.py --junit-xml=$(OUTPUT)/case-$*.xml

integration: $(EACH_SITE) ## Whole sites, as playbooks bring them up: web servers, redis, nginx

site-services site-walk site-readmes: ONLINE := --online
site-sources: export NSFLEET_SOURCES = $(SOURCES)
$(EACH_SITE): site-%: $(VENV)/test $(TREE)
	$(SANDBOX) $(ONLINE) $(PYTEST) tests/site/test_$*.py --junit-xml=$(OUTPUT)/site-$*.xml

matrix: $(VENV)/test $(TREE) ## Every module with all versions of Python, ansible-core and pyroute2
	$(SUPPORT).environments
	$(SANDBOX) $(PYTEST) tests/matrix --junit-xml=$(OUTPUT)/matrix.xml

test-hosts: packages $(VENV)/test $(TREE) ## Cases in a virtual machine with systemd (CASES="bridge cgroup" HOST=bookworm CGROUP=v2)
	$(HOSTED) --base $(HOST) --cgroup $(CGROUP) $(CASES)
	$(MAKE) test-hosts-ansible

test-hosts-ansible: packages $(VENV)/test $(TREE) ## What only Ansible over ssh can tell, against a virtual machine
	$(PYTEST) tests/hosts --junit-xml=$(OUTPUT)/hosts-ansible.xml

test-hosts-all: packages $(VENV)/test $(TREE) ## Cases in every shape of virtual machine
	for shape in $(SHAPES); do $(HOSTED) --base $${shape%/*} --cgroup $${shape#*/} $(CASES) || exit; done

test-hosts-small: packages $(VENV)/test $(TREE) ## A few of the cases that make cases skipped, since this kernel cannot run them (MOST=2)
	$(HOSTED) --cold --only-lacking --most $(MOST)

test-hosts-lacking: packages $(VENV)/test $(TREE) ## All of them
	$(HOSTED) --cold --only-lacking

hosts-image: packages $(VENV)/test
	tests/hosts/vm build

# The newest controller, the oldest target.
matrix-small: $(VENV)/test $(TREE)
	$(SUPPORT).environments core-2.21 python-3.9-pyroute2-0.7.2
	$(SANDBOX) $(PYTEST) tests/matrix -k "smoke_run or python-3.9-pyroute2-0.7.2 and not core-2.19" \
	--junit-xml=$(OUTPUT)/matrix-small.xml

bench: packages $(VENV)/test $(TREE) ## Side by side with what a user would use instead (ROUNDS=10 COUNT=200 PARTS="service execs")
	PYTHONPATH=tests:.build $(SANDBOX) --online $(BIN)/python tests/benchmark/run.py --rounds $(ROUNDS) --count $(COUNT) $(PARTS)

changelog: $(VENV)/test $(TREE) ## Fragments and new plugins into the changelog of the version in galaxy.yml
	antsibull-changelog release --update-existing --cummulative-release

# --- what the others need ----------------------------------------------------

$(VENV)/site $(VENV)/test: $(VENV)/%: requirements/%.txt requirements/site.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# Debian and Ubuntu have the module venv in a package of its own.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	{ echo "make: Ansible needs Python 3.10 or newer; name one by 'make PYTHON=/path/to/python ...'" >&2; exit 1; }
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends python3-venv; }
	$(PYTHON) -m venv $(VENV)

# Ansible and Python find the collection by its name.
$(TREE):
	mkdir -p $(@D)
	ln -sfn ../../.. $@

clean: ## Remove what make made
	rm -rf .build .cache build $(OUTPUT) $(VENV)
