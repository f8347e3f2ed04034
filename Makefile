# Everything a developer does here. `make` alone lists the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  = -s -w -X main.version=$(VERSION)
GO       = CGO_ENABLED=0 go

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

# A folder below plugins with a plugin.toml is a plugin that goes into the program.
# It is built again when something changed in it or in what guests are made of.
BUNDLED  = $(patsubst plugins/%/plugin.toml,plugins/bundled/%.hauspost,$(wildcard plugins/*/plugin.toml))
GUESTS   = $(filter-out %_test.go,$(wildcard plugins/abi/*.go plugins/sdk/*.go plugins/pack/*.go plugins/bundle/*.go))

.PHONY: plugins
plugins: $(BUNDLED) ## build the plugins that come with the program

.SECONDEXPANSION:
plugins/bundled/%.hauspost: $(GUESTS) go.mod $$(shell find plugins/$$* -type f ! -name plugin.wasm ! -name '*_test.go')
	env -u GOOS -u GOARCH -u GOARM CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -buildvcs=false" go run ./plugins/bundle plugins/$* $@

.PHONY: build
build: plugins ## build bin/hauspost, static; GOARCH=arm64 or GOARCH=arm GOARM=7 for a Pi
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/hauspost$(if $(GOARCH),-$(GOARCH)$(GOARM)) ./cmd/hauspost

.PHONY: run
run: plugins ## build, make a demo box in ./demo, start it in the foreground
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/hauspost ./cmd/hauspost
	@exec bin/hauspost demo --data demo

.PHONY: test
test: plugins ## every test that needs nothing but Go
	$(GO) test ./...

.PHONY: test-clients
test-clients: plugins ## as root: install Debian packages; real mail programs, power cuts, full and failing disks
	sh cmd/hauspost/e2e/install-clients.sh
	$(GO) test -count=1 -timeout 30m -tags faults,clients ./cmd/hauspost/e2e
	$(GO) test -count=1 -tags clients ./plugins

.PHONY: check
check: plugins ## gofmt, vet, staticcheck, layers, guests, other platforms, race detector
	@out=$$(gofmt -l .); test -z "$$out" || { echo "gofmt these files:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags faults,clients ./cmd/hauspost/e2e ./plugins
	GOOS=wasip1 GOARCH=wasm $(GO) vet ./plugins/abi ./plugins/sdk ./plugins/templates/go $(addprefix ./,$(wildcard plugins/*/guest))
	$(GO) tool staticcheck -tags faults,clients ./...
	$(GO) test -run 'TestLayers|TestPackageComments' ./appliance
	GOARCH=arm64 $(GO) build -o /dev/null ./cmd/hauspost
	GOARCH=arm GOARM=7 $(GO) build -o /dev/null ./cmd/hauspost
	CGO_ENABLED=1 go test -race -short ./appliance/... ./store/... ./plugins/...

.PHONY: bench
bench: plugins ## the project's benchmarks; BENCH=regexp chooses, HAUSPOST_BENCH_DIR=dir the disk
	$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchtime $(or $(BENCHTIME),200x) ./...

.PHONY: hooks
hooks: ## have git check every commit: formatting and vet
	git config core.hooksPath .githooks

.PHONY: clean
clean: ## remove what was built, and the demo box
	rm -rf bin demo plugins/bundled/*.hauspost
