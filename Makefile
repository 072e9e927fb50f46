# Each target installs what it needs, says so, and costs a second when nothing changed.
.DEFAULT_GOAL := help
.PHONY: help setup assets toolchains demo test test-pythons test-arm64 test-homeassistant test-postgresql torture bench zoo table check clean

help:  ## what can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## /make \1\t/p' Makefile | expand -t 25

setup:  ## .venv from the lock; .venv/bin/edge is the command afterwards
	@scripts/setup

assets: setup  ## real models and data, into a cache outside the repository
	@.venv/bin/python scripts/assets

toolchains: setup  ## engines in environments of their own, into the user's data folder
	@.venv/bin/edge toolchain install onnx2tf

demo: setup  ## the main job on real models: convert, prove, run; then the whole loop over the air
	@.venv/bin/python -m examples.demo
	@.venv/bin/edge demo loop

test: assets toolchains  ## static checks, then all tests (one of them holds our files against MediaPipe)
	@scripts/mediapipe >/dev/null
	-@scripts/tflite-runtime >/dev/null
	-@scripts/swiftshader >/dev/null
	@scripts/test

test-pythons: setup  ## the built wheel on Python 3.10 to 3.13, with numpy 1.26 and 2 (those that are here)
	@scripts/pythons

test-arm64: assets  ## the built wheel on Debian for arm64, emulated (root; 5 minutes, then 2)
	@.venv/bin/python scripts/test-arm64

test-homeassistant: assets  ## our wake words in a real Home Assistant (Python 3.13; 3 minutes, then 1)
	@scripts/homeassistant >/dev/null
	@.venv/bin/python -m pytest -q tests/e2e/test_home_assistant.py

test-postgresql: setup  ## the fleet's store and a whole fleet on a real PostgreSQL (apt; a minute)
	@scripts/apt postgresql
	@.venv/bin/python -m pytest -q tests/contract/test_fleet_database.py tests/e2e/test_fleet_postgresql.py

torture: assets  ## 200 times kill -9: fleet, broker and agents, in ten random orders (12 minutes)
	@.venv/bin/python tests/torture/kills.py --seeds 10 --kills 20

bench: assets toolchains  ## ratios against named peers, into benchmarks/results
	@scripts/bench

zoo: setup toolchains  ## real models through every target, converted or refused with a reason (10 minutes)
	@.venv/bin/python -m benchmarks.zoo

table: setup toolchains  ## every source to every target, into docs/conversion.md (10 minutes)
	@.venv/bin/python -m benchmarks.sources
	@scripts/docs

check: setup  ## ruff, mypy --strict, import rules
	@scripts/check

clean:  ## forget .venv and all caches of tools (not the assets)
	rm -rf .venv .venv.lock .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
