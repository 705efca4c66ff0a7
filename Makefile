# Thin on purpose: every target is one command that can be run by hand.

.DEFAULT_GOAL := help
.PHONY: help run shell test bench fmt lint deb rpm install

PREFIX ?= /usr
OUT ?= target/packages

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | while read -r name text; do \
		printf '  make %-8s %s\n' "$$name" "$$text"; done

run: ## boot a Debian host with the suite enabled and look at it (root)
	@tests/run host

shell: ## a shell on such a host (root)
	@tests/run shell

test: ## every level of tests; what cannot run here is listed (root for the systemd level)
	@tests/run all

bench: ## side by side with node_exporter, printed as ratios
	@tests/run bench

fmt: ## format the code
	cargo fmt --all

lint: ## what the first level of the tests checks
	@tests/run lint

deb: ## build the Debian package into target/packages
	packaging/build-deb.sh release $(OUT)

rpm: ## build the RPM package into target/packages
	packaging/build-rpm.sh release $(OUT)

install: ## install what `cargo build --release` has built (DESTDIR, PREFIX)
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) packaging/install.sh
