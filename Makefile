# The two commands of the README, and the habits around them. `make help` lists them.
PYTHON ?=
export PYTHON

SETUP := $(or $(PYTHON),python3) tools/setup
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup setup-learning setup-dev demo test lint format clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:  ## Everything that running needs (PYTHON=python3.12 to choose the interpreter)
	@$(SETUP)

setup-learning:  ## Also what training and learnt policies need (torch)
	@$(SETUP) --learning

setup-dev:  ## Also what tests and linters need
	@$(SETUP) --dev

demo: setup  ## A simulated robot picks the table clear (ARGS="--robot baxter --objects 5")
	@$(BIN)/selfgrasp demo $(ARGS)

test: setup-dev  ## Lint, types and all tests (ARGS="test/policies -k push" for some)
	@tools/test $(ARGS)

lint: setup-dev  ## ruff and mypy
	@tools/lint

format: setup-dev  ## Rewrite the code in the project's format
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

clean:  ## Remove everything that the set-up made
	rm -rf .venv build install log
