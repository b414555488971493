package main

import (
	"os"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// The page matches the source.
func TestReferencePage(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, nil, "config", "--markdown")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	page, err := os.ReadFile("../../docs/configuration.md")
	testkit.Must(t, err)
	if string(page) != stdout {
		t.Error("docs/configuration.md does not match the source; run: make docs")
	}
}
