# The commands that people and CI use. `make test` needs Rust and a C compiler; the rest it brings itself.

.PHONY: test setup lint bench demo fmt screenshots paint

test: setup
	cargo test --locked

# What tests need from Debian's packages and npm: a real sshd, strace, a browser, axe.
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

# The pictures of the documents, by the browser of the tests.
screenshots: setup
	cargo test --locked --test it -- --ignored browser::screenshots
	for picture in docs/images/console-*.png; do cp "$${CARGO_TARGET_DIR:-target}/tmp/screenshots/$${picture##*/}" docs/images/; done

# First paint of the console's pages over a journal with 100,000 runs. Takes about two minutes; see docs/performance.md.
paint: setup
	cargo test --locked --test it -- --ignored --nocapture browser::first_paint
