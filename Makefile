# Developer commands. Each target installs the packages that it needs.
.DEFAULT_GOAL := help
export PETREL_COMMIT := $(shell git describe --always --dirty --exclude='*' --abbrev=12 2>/dev/null)
.PHONY: help setup build release demo test test-unit test-robust test-xmpp conformance lint format bench bench-peer bench-plugins bench-infra bench-jobs fuzz soak faults clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: ## Install missing packages on Debian (as root)
	@Scripts/setup build

build: setup ## Build the debug configuration
	@swift build --product petrel

release: setup ## Build the release program into dist/
	@Scripts/release

demo: setup ## Chat with the bot and a simulated StackStorm, without configuration
	@Scripts/demo

test: setup ## Build and run all tests
	@Scripts/setup test
	@Scripts/test

test-unit: setup ## Run the tests that need no other program
	@Scripts/test --unit

test-robust: setup ## Run the tests with the clock 400 days ahead, and under CPU load
	@Scripts/setup test
	@Scripts/test-robust

test-xmpp: setup ## Run the XMPP tests with Prosody and ejabberd
	@Scripts/setup test xmpp
	@Scripts/test-xmpp

conformance: setup ## Run the conformance suites of all backends and modules, and print a table
	@Scripts/setup test
	@Scripts/conformance

lint: ## Check the code format
	@swift format lint --strict --recursive --parallel Sources Tests Benchmarks Faults Fuzz/Sources Examples Package.swift

format: ## Format the code
	@swift format --in-place --recursive --parallel Sources Tests Benchmarks Faults Fuzz/Sources Examples Package.swift

bench: setup ## Run the benchmarks and compare them with the thresholds
	@Scripts/bench

bench-peer: setup ## Compare the performance with Errbot and err-stackstorm
	@Scripts/bench-peer

bench-plugins: setup ## Measure what plug-ins that misbehave cost other users
	@Scripts/release >&2
	@python3 Benchmarks/bad_plugin.py dist/bin/petrel

bench-infra: setup ## Measure searches in many simulated AWS accounts
	@Scripts/release >&2
	@Scripts/measure-infra

bench-jobs: setup ## Measure many jobs at once, and one with 1 GB of output
	@Scripts/release >&2
	@python3 Benchmarks/jobs.py dist/bin/petrel

fuzz: setup ## Run the fuzzers, a million runs each
	@Scripts/fuzz

soak: setup ## Run under a steady load for half an hour and check memory growth
	@Scripts/soak

faults: setup ## Inject faults and count lost and duplicated messages
	@Scripts/faults

clean: ## Remove build products
	@rm -rf .build .build-bench .build-release dist
