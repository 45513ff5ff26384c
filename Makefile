SHELL := /bin/bash

# The commands that people and CI use. `make test` needs Rust and a C compiler; the rest it brings itself.

.PHONY: test setup lint bench demo fmt schema soak fuzz deb screenshots paint

test: setup
	cargo test --locked

# What tests need from Debian's packages and npm: a real sshd, strace, shellcheck, a browser, axe.
setup:
	tests/setup.sh

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

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

demo:
	cargo run --release --locked -- demo

# The pictures of the documents, by the browser of the tests.
screenshots: setup
	cargo test --locked --test it -- --ignored browser::screenshots
	for picture in docs/images/console-*.png; do cp "$${CARGO_TARGET_DIR:-target}/tmp/screenshots/$${picture##*/}" docs/images/; done

# First paint of the console's pages over a journal with 100,000 runs. Takes about two minutes; see docs/performance.md.
paint: setup
	cargo test --locked --test it -- --ignored --nocapture browser::first_paint

# The Debian package, in target/debian. Needs cargo-deb (`cargo install cargo-deb`).
deb:
	cargo build --release --locked
	mkdir -p target/package
	target/release/stanch man > target/package/stanch.1
	target/release/stanch completions bash > target/package/stanch.bash
	target/release/stanch completions zsh > target/package/_stanch
	target/release/stanch completions fish > target/package/stanch.fish
	cargo deb --no-build --locked
