package licenses

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/internal/testkit"
)

// The components are the modules of the released programs, at their versions. .ci/licenses compares the texts.
func TestComponentsAreThoseOfTheProgram(t *testing.T) {
	t.Parallel()
	compiled := map[string]bool{}
	for _, platform := range []string{"amd64", "arm64"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
			`{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}`, "../../cmd/consumer")
		cmd.Env = append(cmd.Environ(), "GOOS=linux", "GOARCH="+platform, "CGO_ENABLED=0", "GOFLAGS=")
		out, err := cmd.Output()
		testkit.Must(t, err)
		for line := range strings.Lines(string(out)) {
			compiled[strings.TrimSpace(line)] = true
		}
	}
	delete(compiled, "")
	all, err := Components()
	testkit.Must(t, err)
	var listed []string
	for i, c := range all {
		if len(c.Licenses) == 0 {
			t.Errorf("%s has no licence", c.Name)
		}
		if c.Version != "" {
			listed = append(listed, c.Name+" "+c.Version)
		}
		if i > 0 && !strings.Contains(Text, "\n"+c.Name+" ") {
			t.Errorf("%s is not in the text", c.Name)
		}
	}
	want := slices.Sorted(maps.Keys(compiled))
	if len(want) == 0 {
		t.Fatal("go list found no module")
	}
	slices.Sort(listed)
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("the licences are not those of the program; run: make licenses\n(-program +listed)\n%s", diff)
	}
}

// The licence is the Apache License, byte for byte as its authors publish it.
func TestLicense(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../LICENSE")
	testkit.Must(t, err)
	testkit.Equal(t, "SHA-256 of LICENSE", fmt.Sprintf("%x", sha256.Sum256(text)),
		"cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30")
	all, err := Components()
	testkit.Must(t, err)
	if diff := cmp.Diff(Component{Name: "tenant-provisioner", Licenses: []string{"Apache-2.0"}}, all[0]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
