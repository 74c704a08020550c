STACK ?= cn-north-1
PYTHON_OF_PROJECT := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup preview up destroy diagram lint test bench

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup:
	@./setup.sh

preview up destroy: setup  ## the whole stack STACK on the real engine and simulated clouds
	@$(PYTHON_OF_PROJECT) -m rehearsal $@ --stack $(STACK)

diagram: preview  ## the picture in both READMEs, from the plan
	@$(PYTHON_OF_PROJECT) -m rehearsal diagram --stack $(STACK)

lint: setup  ## ruff (lint and format) and pyright (strict)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/pyright

test: lint  ## everything a contributor needs to trust a change
	@$(PYTHON_OF_PROJECT) -m rehearsal setup
	@$(PYTHON_OF_PROJECT) -m pytest

bench: setup  ## the benchmark table, as ratios
	@$(PYTHON_OF_PROJECT) -m rehearsal bench --stack $(STACK)
