# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every target sets up what it needs. tools/devtool does the work.

devtool := tools/python -m devtool
phases := lint unit sanity docs-check build integration kernels forecast molecule

export TESTS TARGET COUNT SECONDS SEED TABLE SCENARIO ROTATE CAMPAIGN KEEP_GOING PYTHON

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup test test-all demo vm vm-destroy docs consumer changelog release bench mutants fuzz faults clean $(phases)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## packages, Python environment, collection tree; seconds when there is nothing to do
	@$(devtool) setup

test: ## everything below, cheapest first; KEEP_GOING=1 runs virtual machines even after a failure
	@$(devtool) test

test-all: ## what takes hours; goes on where it was cut off, writes docs/test-all.md; CAMPAIGN=name,name for some
	@$(devtool) test-all

lint: ## style, types, licences, changelog
unit: ## unit tests; TESTS=path for some of them
sanity: ## ansible-test sanity; TESTS=path for some files
docs-check: ## the documentation of modules, plugins and roles
build: ## the collection's archive in dist/, built and installed on trial
integration: ## ansible-test integration on this machine; TARGET=name for one
kernels: ## the kernel drivers built for every supported kernel, and at work
forecast: ## forecasts of the boot against real boots; COUNT=number, SEED=number, TABLE=docs/who-wins.md writes the counts
molecule: ## the main scenario on virtual machines, and the first state of another; SCENARIO=name for one, ROTATE=name for the other

$(phases):
	@$(devtool) $@

demo: setup ## the main job on a virtual machine with an emulated V100
	@tools/run tools/demo

vm: setup ## start the demo's machine on the disk it has and log in
	@tools/run tools/demo login

vm-destroy: setup ## throw the demo's machine away
	@tools/run tools/demo destroy

docs: setup ## the documentation site in dist/docs, without a warning
	@tools/run tools/docs

consumer: setup ## the repository in tests/consumer with the built archive alone, its scenario on a virtual machine
	@tools/run tools/consumer

changelog: setup ## the release notes of the version in galaxy.yml, from the fragments
	@tools/run tools/release changelog

release: setup ## the archive of a release in dist/, the same bytes each time, and the way from the release before it
	@tools/run tools/release

bench: setup ## how long things take
	@tools/run tests/bench/run

mutants: setup ## mistakes in the core that the unit tests have to notice; COUNT=number, SEED=word
	@tools/run tests/mutants/run $(if $(COUNT),--count "$(COUNT)") $(if $(SEED),--seed "$(SEED)")

fuzz: setup ## hostile input for every parser, every option and whole hosts, ten minutes; SECONDS=number, SEED=number
	@tools/run tests/fuzz/run $(if $(SECONDS),--seconds "$(SECONDS)") $(if $(SEED),--seed "$(SEED)")

faults: setup ## kills and failing calls at each file-system call of a run; writes docs/reliability.md
	@tools/run tests/faults/run --record

clean: ## remove what tools left behind; images and Python environments stay
	@$(devtool) clean
