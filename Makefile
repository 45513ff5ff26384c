# The commands that people and CI use. `make test` needs Rust and a C compiler; the rest it brings itself.

.PHONY: test soak setup lint bench demo fmt schema deb

test: setup
	cargo test --locked

# The tests that take longer than one waits for.
soak: setup
	cargo test --locked --test it -- --ignored

# What tests need from Debian's packages: a real sshd, strace.
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

demo:
	cargo run --release --locked -- demo

# The Debian package, in target/debian. Needs cargo-deb (`cargo install cargo-deb`).
deb:
	cargo build --release --locked
	mkdir -p target/package
	target/release/stanch man > target/package/stanch.1
	target/release/stanch completions bash > target/package/stanch.bash
	target/release/stanch completions zsh > target/package/_stanch
	target/release/stanch completions fish > target/package/stanch.fish
	cargo deb --no-build --locked
