# What people type. Every target sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup build release demo test test-robust test-xmpp lint format bench bench-peer soak faults clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: ## Install what is missing on Debian (as root)
	@Scripts/setup build

build: setup ## Build for debugging
	@swift build --product petrel

release: setup ## Build what is shipped, into dist/
	@Scripts/release

demo: setup ## Chat with the bot and a simulated StackStorm, nothing to configure
	@Scripts/demo

test: setup ## Build and run all tests
	@Scripts/setup test
	@Scripts/test

test-robust: setup ## Run the tests 400 days later, and beside three busy loops
	@Scripts/setup test
	@Scripts/test-robust

test-xmpp: setup ## Run the tests of XMPP with prosody and ejabberd
	@Scripts/setup test xmpp
	@Scripts/test-xmpp

lint: ## Check the format of the code
	@swift format lint --strict --recursive --parallel Sources Tests Benchmarks Faults Fuzz/Sources Package.swift

format: ## Format the code
	@swift format --in-place --recursive --parallel Sources Tests Benchmarks Faults Fuzz/Sources Package.swift

bench: setup ## Measure, and compare with the thresholds
	@Scripts/bench

bench-peer: setup ## Measure beside Errbot and err-stackstorm, in turns
	@Scripts/bench-peer

soak: setup ## Run half an hour under a steady load, and watch the memory
	@Scripts/soak

faults: setup ## Break what Petrel stands on, and count what its users were told
	@Scripts/faults

clean: ## Remove what was built
	@rm -rf .build .build-bench .build-release dist
