package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/internal/licenses"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestLicensesCommand(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, nil, "licenses")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	testkit.Equal(t, "stdout", stdout, licenses.Text)

	want, err := licenses.Components()
	testkit.Must(t, err)
	_, stdout, _ = command(t, nil, "licenses", "--json")
	var got []licenses.Component
	for line := range strings.Lines(stdout) {
		var c licenses.Component
		testkit.Must(t, json.Unmarshal([]byte(line), &c))
		got = append(got, c)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	_, stdout, _ = command(t, nil, "licenses", "--list")
	testkit.Equal(t, "lines", strings.Count(stdout, "\n"), 1+len(want))
	testkit.Contains(t, "stdout", stdout, "SQLite (in modernc.org/sqlite)", "LicenseRef-Public-Domain")

	code, _, _ = command(t, nil, "licenses", "--list", "--json")
	testkit.Equal(t, "exit code of both flags", code, 2)
}
