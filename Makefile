# One command each for what a developer does; `.ci/run` is `make test` and `make check`.

CARGO ?= cargo
# More arguments for `run` and `bench`, such as `make run ARGS="--config erlmcp.toml"`.
ARGS ?=
# How many storms blow in `make chaos`, and how many scripts `make otp` replays; `make test` runs
# both shorter. A failure prints its seed or its script; `SEED=…` begins with that storm.
CHAOS_STORMS ?= 20000
OTP_SCRIPTS ?= 10000
# How many sessions are opened and left in `make crowd`; `make test` has a smaller crowd.
CROWD ?= 100000
# How many servers behind a node are killed in `make kills`, at random and under load.
KILLS ?= 1000
SEED ?= $(shell date +%s)
# How long `make fuzz` feeds all fuzz targets together, in seconds.
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help run test check bench chaos crowd kills otp fuzz fmt clippy doctest doc deny unused \
	test-needs check-needs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build and start a node in the foreground
	$(CARGO) run --locked --bin erlmcp -- start $(ARGS)

test: test-needs ## install what the tests need, then run them all
	$(CARGO) test --workspace --locked

check: fmt clippy doctest doc deny unused ## format, lints, documentation, licences, dependencies

bench: ## measure the node under load (ARGS="--quick" and the like), then its supervisors
	scripts/bench-node.sh $(ARGS)
	$(CARGO) bench --locked --package supervisors

chaos: ## CHAOS_STORMS storms of faults on supervision trees, from a new seed
	ERLMCP_CHAOS_SEEDS=$(CHAOS_STORMS) ERLMCP_CHAOS_FIRST_SEED=$(SEED) \
		$(CARGO) test --locked --package supervisors --test it -- chaos:: --nocapture

crowd: ## CROWD sessions opened and left at one node, and the memory that they take
	ERLMCP_CROWD=$(CROWD) \
		$(CARGO) test --locked --release --test it -- hostile::crowd:: --nocapture

kills: ## KILLS of servers behind a node under load, from a new seed
	ERLMCP_KILLS=$(KILLS) ERLMCP_KILLS_SEED=$(SEED) \
		$(CARGO) test --locked --package erlmcp --test it -- upstreams::kills:: --nocapture

otp: test-needs ## replay OTP_SCRIPTS fresh scripts here and on Erlang's own supervisor
	OTP_SCRIPTS=$(OTP_SCRIPTS) \
		$(CARGO) test --locked --package supervisors --test it -- otp::fresh --nocapture

fuzz: ## FUZZ_SECONDS of mutated bytes for the decoder and for a node's HTTP port
	scripts/fuzz.sh $(FUZZ_SECONDS)

test-needs:
	@scripts/setup-tests.sh

check-needs:
	@scripts/setup-check.sh

fmt:
	$(CARGO) fmt --all --check

# Warnings are denied by an argument after `--`: RUSTFLAGS would build every dependency again.
clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

doctest:
	$(CARGO) test --workspace --locked --doc

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --locked --no-deps

# No advisories: deny.toml says why.
deny: check-needs
	.tools/bin/cargo-deny --locked check bans licenses sources

unused: check-needs
	.tools/bin/cargo-machete --with-metadata
