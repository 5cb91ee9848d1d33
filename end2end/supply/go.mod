// Helper programs for `make test-supply`: see registry/main.go.
module waybill.dev/end2end/supply

// As scripts/go-tools.
go 1.26.7

require github.com/google/go-containerregistry v0.22.1
