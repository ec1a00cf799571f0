# Everything that the project can do for itself. Each target sets up what it needs; what a machine must
# bring is Rust (cargo), Python 3.11 or newer, a C compiler and make.

PYTHON ?= python3

# Not by `?=`: a shell has a variable SECONDS of its own, and may export it.
FUZZ_SECONDS := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)

# Compiling included. A test that hangs must not hang its caller.
LIMITED := $(if $(shell command -v timeout),timeout 1200)

.DEFAULT_GOAL := help
.PHONY: help demo build test test-all test-rust test-python test-long test-asan test-loom fuzz \
        conformance ecosystem bench bench-net bench-rust fmt lint types layers clean distclean python venv

help:
	@echo 'make demo          make .venv, build and install rasyncio into it, run the tour'
	@echo 'make test          lint, Rust tests, Python tests and conformance on $(PYTHON)'
	@echo 'make test-all      Python tests and conformance on Python 3.11 to 3.15'
	@echo 'make test-long     a million of each workload, 20000 connections leave nothing behind; 40000 random programs'
	@echo 'make test-asan     the tests under AddressSanitizer'
	@echo 'make test-loom     what threads share under the loom model checker'
	@echo 'make fuzz          coverage-guided fuzzing of what parses and buffers bytes, and of TLS; SECONDS=60 in all'
	@echo 'make conformance   CPython tests alone, those that are only reported included'
	@echo 'make ecosystem     the own tests of aiohttp, anyio, redis, uvicorn and uvloop, with asyncio and with rasyncio'
	@echo 'make bench         measure beside stock asyncio, uvloop and rloop'
	@echo 'make bench-net     measure an echo server beside theirs, and one in C'
	@echo 'make bench-rust    measure the Rust crate beside tokio, smol and compio, its servers beside C, tokio and monoio'
	@echo 'make fmt lint      format; check format, clippy, layering, and that all that is public has an example'
	@echo 'make build         the extension for $(PYTHON), into build/'
	@echo 'make clean         remove what was built; distclean: downloaded Pythons and .venv too'
	@echo
	@echo 'PYTHON=... chooses the interpreter, REQUIRE_ALL=1 makes test-all fail where one is missing.'

# A first look in plain shell: everything after it is written in Python 3.11.
python:
	@command -v $(PYTHON) >/dev/null || { echo '$(PYTHON) is missing: install Python 3.11 or newer, or say PYTHON=...'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo '$(PYTHON) is older than 3.11: say PYTHON=...'; exit 1; }

venv: python
	@$(PYTHON) scripts/setup.py --venv

demo: venv
	@unset CONDA_PREFIX; VIRTUAL_ENV=$(CURDIR)/.venv .venv/bin/maturin develop --release --quiet
	@.venv/bin/python examples/tour.py

build: python
	@$(PYTHON) scripts/setup.py
	@$(PYTHON) scripts/build_extension.py --python $(PYTHON)

test: venv lint types test-rust test-python

test-rust: python
	@$(PYTHON) scripts/setup.py
	$(LIMITED) cargo test --quiet --package rasyncio
	$(LIMITED) cargo test --quiet --all-features --package rasyncio --package rasyncio-macros
	$(LIMITED) cargo test --quiet --package rasyncio-engine
	$(LIMITED) cargo test --quiet --package rasyncio-engine --features portable-poller

test-python: venv
	@$(PYTHON) scripts/setup.py --tests
	@$(PYTHON) scripts/test_python.py

test-all: venv
	@$(PYTHON) scripts/test_python.py --all $(if $(REQUIRE_ALL),--require-all)

test-long: venv
	@$(PYTHON) scripts/setup.py --tests
	@$(PYTHON) scripts/test_python.py --only pytest -- --slow -k 'test_leaks or thousand'

test-asan: venv
	@$(PYTHON) scripts/setup.py --tests
	@$(PYTHON) scripts/test_asan.py

# The flag reaches dependencies too, hence a target folder of its own.
test-loom: python
	@$(PYTHON) scripts/setup.py
	CARGO_TARGET_DIR=$(or $(CARGO_TARGET_DIR),target)/loom RUSTFLAGS='--cfg loom' $(LIMITED) cargo test --quiet --package rasyncio-engine --lib --release inbox
	CARGO_TARGET_DIR=$(or $(CARGO_TARGET_DIR),target)/loom RUSTFLAGS='--cfg loom' $(LIMITED) cargo test --quiet --package rasyncio --lib --release loom

fuzz: python
	@$(PYTHON) scripts/setup.py --fuzz
	@$(PYTHON) scripts/fuzz.py --seconds $(FUZZ_SECONDS)

conformance: build
	@$(PYTHON) scripts/setup.py --tests
	@$(PYTHON) tests/conformance/run.py --tier all

ecosystem: python
	@$(PYTHON) scripts/setup.py
	@$(PYTHON) scripts/test_ecosystem.py --python $(PYTHON)

bench: python
	@$(PYTHON) scripts/setup.py
	@$(PYTHON) bench/run.py --setup

bench-net: python
	@$(PYTHON) scripts/setup.py
	@$(PYTHON) bench/net.py --setup

bench-rust: python
	@$(PYTHON) scripts/setup.py
	cargo bench --quiet --package rasyncio --bench tasks
	cargo bench --quiet --package rasyncio --bench locks
	cargo bench --quiet --package rasyncio --features tls --bench net

fmt:
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

lint: python layers
	@$(PYTHON) scripts/setup.py
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	PYO3_PYTHON=$$(command -v $(PYTHON)) cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo clippy --quiet --package rasyncio --all-targets --all-features -- -D warnings
	@$(PYTHON) scripts/check_features.py
	@# Tests use debug builds; code for release builds alone must compile too.
	PYO3_PYTHON=$$(command -v $(PYTHON)) cargo clippy --quiet --release --workspace -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --no-deps --all-features --package rasyncio-engine --package rasyncio-macros --package rasyncio
	@$(PYTHON) scripts/check_examples.py

# The stubs, as a type checker sees them; the checker is in .venv.
types: venv
	@.venv/bin/python -m pytest -q -p no:cacheprovider tests/python/typing

layers: python
	@$(PYTHON) scripts/check_layers.py

clean:
	rm -rf build target

distclean: clean
	rm -rf .venv .cache
