STACK ?= cn-north-1
SEED ?= 1
COUNT ?= 200
WORKERS ?= 1
PYTHON_OF_PROJECT := .venv/bin/python
# To make, a name in another case is another variable, and the target would run with its default.
READ := STACK FROM ACCOUNT SEED COUNT WORKERS AGAIN
GIVEN := $(foreach word,$(MAKEOVERRIDES),$(firstword $(subst :, ,$(subst =, ,$(word)))))
upper = $(shell printf '%s' '$(subst ','\'',$(1))' | tr '[:lower:]' '[:upper:]')
refused = $(error $(1) is no variable of this Makefile: write $(2)=$(value $(1)))
$(foreach name,$(filter-out $(READ),$(GIVEN)),$(if $(findstring command line,$(origin $(name))),\
  $(foreach meant,$(filter $(READ),$(call upper,$(name))),$(call refused,$(name),$(meant)))))
# Files and output are UTF-8, also where the locale is C.
export PYTHONUTF8 := 1
.DEFAULT_GOAL := help
.PHONY: help setup preview up destroy diagram screenshots lint test test-cluster test-consumers test-elasticity test-faults test-live test-upgrade wheel mutants bench golden

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup:  ## .venv: Python with every package at its pinned version
	@./setup.sh

preview: setup  ## what the stack STACK would make, planned by the real engine on simulated clouds
up: setup  ## the stack STACK made, or changed, in simulated clouds
destroy: setup  ## the stack STACK removed from simulated clouds
preview up destroy:
	@$(PYTHON_OF_PROJECT) -m rehearsal $@ --stack $(STACK) $(if $(FROM),--from $(FROM)) $(if $(ACCOUNT),--account $(ACCOUNT))

diagram: preview  ## the pictures in READMEs, CONTRIBUTING.md and docs, from the plan
	@$(PYTHON_OF_PROJECT) -m rehearsal diagram --stack $(STACK)
	@$(PYTHON_OF_PROJECT) -m rehearsal pictures --stack $(STACK)

screenshots: setup  ## in docs/pictures: ./kf plan in a browser, ./kf verify on a test cluster
	@tests/packages.sh chromium etcd-server openssl
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m tests.ops.screenshots
	@$(PYTHON_OF_PROJECT) -m tests.cluster.verify_picture

lint: setup  ## ruff (lint and format), pyright (strict) and shellcheck
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/pyright
	@.venv/bin/shellcheck $$(git grep --extended-regexp --files-with-matches '^#!/(usr/bin/env |bin/)(ba)?sh$$')

test: lint  ## everything a contributor needs to trust a change
	@tests/packages.sh fish mariadb-server docker-registry openssl zsh
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m tests.services.serving_programs
	@$(PYTHON_OF_PROJECT) -m tests.services.kfp_sdk
	@$(PYTHON_OF_PROJECT) -m pytest

golden: setup  ## each release's golden difference to its upstream, from the sources
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m rendering.golden

test-cluster: setup  ## every object of the Beijing stack on a real Kubernetes API server
	@tests/packages.sh etcd-server openssl
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m tests.cluster.api_server
	@$(PYTHON_OF_PROJECT) -m pytest -n 0 tests/cluster

test-elasticity: setup  ## from zero to a GPU and back, with the real Karpenter on simulated nodes
	@tests/packages.sh etcd-server openssl
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m tests.elasticity.programs
	@rm -rf build/elasticity
	@$(PYTHON_OF_PROJECT) -m pytest -n 4 --dist worksteal -m "not alone" tests/elasticity
	@$(PYTHON_OF_PROJECT) -m pytest -n 0 -m alone tests/elasticity

test-faults: setup  ## runs killed at random moments, and refused by AWS in part
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m pytest --dist load tests/faults

test-consumers: setup  ## the programs that use RDS, S3 and STS, with what we render for them
	@tests/packages.sh mariadb-server npm postgresql
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m tests.consumers.programs
	@$(PYTHON_OF_PROJECT) -m pytest -n 0 tests/consumers

test-live: setup  ## the whole `up` with the real Kubernetes provider on a real API server, and the days after
	@tests/packages.sh etcd-server openssl
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m tests.live.programs
	@$(PYTHON_OF_PROJECT) -m pytest -n 0 tests/live

test-upgrade: setup  ## from one release to the next, with users' objects on a real API server and rows in databases
	@tests/packages.sh etcd-server mariadb-server openssl
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m tests.consumers.programs
	@$(PYTHON_OF_PROJECT) -m tests.live.programs
	@$(PYTHON_OF_PROJECT) -m pytest -n 0 tests/upgrade

wheel: setup  ## the image mirror alone, as a package to install (docs/mirror-alone.md), in build/
	@$(PYTHON_OF_PROJECT) -m components.mirror.wheel

mutants: setup  ## COUNT one-token mutants of the product, chosen by SEED, against the tests that cover them
	@tests/packages.sh mariadb-server postgresql docker-registry openssl
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m tests.services.serving_programs
	@$(PYTHON_OF_PROJECT) -m tests.services.kfp_sdk
	@$(PYTHON_OF_PROJECT) -m tests.mutants --seed "$(SEED)" --count "$(COUNT)" --workers "$(WORKERS)" $(AGAIN:%=--again)

bench: setup  ## the benchmark table, as ratios; the stack's life on a real API server too
	@tests/packages.sh etcd-server openssl
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m tests.live.programs
	@$(PYTHON_OF_PROJECT) -m benchmarks --stack $(STACK)
