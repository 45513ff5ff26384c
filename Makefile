# The commands that people and CI use. `make test` needs Rust and a C compiler; the rest it brings itself.

.PHONY: test soak setup lint bench demo fmt

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

# Criterion for the parts, then the whole daemon under load. Takes about five minutes; see docs/performance.md.
bench:
	cargo bench --locked --bench core
	cargo bench --locked --bench load

demo:
	cargo run --release --locked -- demo
