SHELL := /bin/bash

# The commands that people and CI use. `make test` needs Rust and a C compiler; the rest it brings itself.

.PHONY: test setup lint bench demo fmt schema soak fuzz fuzz-api deb try-deb static screenshots paint

test: setup
	cargo test --locked
	cargo test --locked --features otlp --test it -- traces::
	cargo test --locked --features otlp --lib -- traces:: config:: schema::

# What tests need from Debian's packages and npm: a real sshd, strace, shellcheck, a browser, axe.
setup:
	tests/setup.sh

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features otlp -- -D warnings

fmt:
	cargo fmt

# What editors complete and explain by. A test says when it is stale.
schema:
	mkdir -p docs/schema
	cargo run --locked --quiet -- schema > docs/schema/rules.json
	cargo run --locked --quiet -- schema --config > docs/schema/config.json

# Criterion for the parts, then the whole daemon under load. Takes about five minutes; see docs/performance.md.
bench:
	cargo bench --locked --bench core
	cargo bench --locked --bench load

# What takes too long for every change: 500 kill points, storms of 10,000, slow sockets, a million events, a hundred
# hosts over real ssh, ten million simulated events. About half an hour; the summary is in target/soak.txt and the figures in docs/reliability.md.
soak: setup
	mkdir -p target
	ulimit -n 20000; cargo test --release --locked --test it -- --ignored --nocapture --test-threads 1 \
		sweep:: storm:: soak:: each:: hot_reload:: 2>&1 | tee target/soak.txt; exit $${PIPESTATUS[0]}
	cargo test --release --locked --lib -- --ignored --nocapture invariants:: 2>&1 | tee -a target/soak.txt; \
		exit $${PIPESTATUS[0]}

# Each fuzz target with libFuzzer, a minute each. Needs a C++ compiler.
fuzz:
	fuzz/run.sh 60

# The admin interface against its own document, by Schemathesis: every check, 200 examples an operation. A minute or two.
fuzz-api:
	cargo build --locked
	fuzz/api.sh 200

demo:
	cargo run --release --locked -- demo

# The pictures of the documents, by the browser of the tests.
screenshots: setup
	cargo test --locked --test it -- --ignored browser::pictures::screenshots
	for picture in docs/images/console-*.png; do cp "$${CARGO_TARGET_DIR:-target}/tmp/screenshots/$${picture##*/}" docs/images/; done

# First paint of the console's pages over a journal with 100,000 runs. Takes about two minutes; see docs/performance.md.
paint: setup
	cargo test --locked --test it -- --ignored --nocapture browser::pictures::first_paint

# The Debian package, in target/debian. cargo-deb comes from crates.io into the target folder, in the version that was tried.
CARGO_DEB_VERSION := 3.8.0
TARGET := $(or $(CARGO_TARGET_DIR),target)
CARGO_DEB := $(TARGET)/tools/cargo-deb-$(CARGO_DEB_VERSION)/bin/cargo-deb
STANCH := $(TARGET)/release/stanch

deb: $(CARGO_DEB)
	cargo build --release --locked
	mkdir -p $(TARGET)/release/package
	$(STANCH) man | gzip -9n > $(TARGET)/release/package/stanch.1.gz
	gzip -9n < CHANGELOG.md > $(TARGET)/release/package/changelog.gz
	$(STANCH) completions bash > $(TARGET)/release/package/stanch.bash
	$(STANCH) completions zsh > $(TARGET)/release/package/_stanch
	$(STANCH) completions fish > $(TARGET)/release/package/stanch.fish
	$(CARGO_DEB) deb --no-build --locked

# The package on a Debian that has never seen it, as docs/install.md tells. Needs root and debootstrap; about a minute, and one
# more the first time.
try-deb: deb
	packaging/try-package.sh $$(ls -t $(TARGET)/debian/stanch_*.deb | head -1) $(TARGET)/try

# One file that needs nothing of the system that it runs on. The target is this machine's unless another is named; what is
# built and tried how is in docs/install.md.
STATIC_TARGET ?= $(shell rustc -vV | sed -n 's/^host: //p')

static:
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target $(STATIC_TARGET)
	@echo "$(TARGET)/$(STATIC_TARGET)/release/stanch"

$(CARGO_DEB):
	cargo install --locked --version $(CARGO_DEB_VERSION) --root $(TARGET)/tools/cargo-deb-$(CARGO_DEB_VERSION) cargo-deb
