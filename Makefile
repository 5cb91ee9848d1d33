# Every command is a script in scripts/; this file names them. `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help run test test-argocd test-supply soak fuzz bench bench-quick bench-mirror build lint fmt rooms dev deny setup clean-demo

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## install what is missing, build, and start the demo on http://127.0.0.1:3000
	@scripts/build
	@scripts/demo

test: setup ## install what is missing, and run every test
	@scripts/test

test-argocd: setup ## run the stories against a real Argo CD (builds it first: about 10 min); not part of `make test`
	@scripts/argocd-real test

test-supply: setup ## sign, attest, copy, verify and admit with real versions of cosign, crane, oras, skopeo, Kyverno and policy-controller (builds them first: about 30 min); not part of `make test`
	@scripts/supply test

soak: setup ## kill the server 200 times under load, on both databases; nothing may be lost or done twice
	@scripts/long-test soak

fuzz: setup ## throw requests and texts that nobody would send, on both databases; nothing may break or hang
	@scripts/long-test fuzz

bench: setup ## measure how fast the release is, and write docs/benchmarks.md (some minutes)
	@scripts/bench

bench-quick: setup ## the same with smaller numbers, in under two minutes
	@scripts/bench --quick

bench-mirror: setup ## measure copies between registries beside skopeo, crane and oras, into docs/benchmarks.md (a quarter of an hour)
	@scripts/bench-mirror

build: ## build the release: target/release/waybill and target/site
	@scripts/setup --build
	@scripts/build --release

lint: ## check format, clippy and what the browser downloads
	@scripts/setup --build
	@scripts/lint

fmt: ## format the Rust code
	@bash -c '. scripts/env && cargo fmt --all'

rooms: ## draw the rooms of the server in docs/architecture.md
	@bash -c '. scripts/env && DRAW_ROOMS=1 cargo test --quiet --workspace --exclude frontend --test house the_picture'

dev: setup ## run the demo, and build and start it again on every change
	@scripts/dev

deny: ## check bans, licences, sources and known vulnerabilities of the dependencies (slow the first time)
	@scripts/setup --deny
	@scripts/deny

setup: ## install what is missing
	@scripts/setup

clean-demo: ## remove the demo's state (.waybill)
	rm -rf .waybill
