package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/internal/testkit"
)

// What the compiler has noted goes before what the linker was told.
func TestBuildOf(t *testing.T) {
	t.Parallel()
	linked := build{Version: "v9.9.9", Revision: "linked", Time: "2026-01-01T00:00:00Z"}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123abcd"},
		{Key: "vcs.time", Value: "2026-03-04T12:00:00Z"},
		{Key: "vcs.modified", Value: "true"},
	}
	for name, c := range map[string]struct {
		main     string
		settings []debug.BuildSetting
		linked   build
		want     build
		line     string
	}{
		"from a repository": {
			"v1.2.1+dirty", vcs, linked,
			build{Version: "v1.2.1+dirty", Revision: "0123abcd", Modified: true, Time: "2026-03-04T12:00:00Z"},
			"v1.2.1+dirty, revision 0123abcd, modified, of 2026-03-04T12:00:00Z, go1.26, " + platform,
		},
		"go install":                     {"v1.2.0", nil, build{}, build{Version: "v1.2.0"}, "v1.2.0, go1.26, " + platform},
		"in the image":                   {"(devel)", nil, linked, linked, "v9.9.9, revision linked, of 2026-01-01T00:00:00Z, go1.26, " + platform},
		"from sources, nothing is known": {"(devel)", nil, build{}, build{Version: "(devel)"}, "(devel), go1.26, " + platform},
		"without modules":                {"", nil, build{}, build{Version: "(devel)"}, "(devel), go1.26, " + platform},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info := &debug.BuildInfo{GoVersion: "go1.26", Settings: c.settings}
			info.Main.Version = c.main
			got := buildOf(info, c.linked)
			c.want.Go, c.want.Platform = "go1.26", platform
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			testkit.Equal(t, "the line", got.line(), c.line)
		})
	}
}

func TestVersionCommand(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, nil, "version", "--json")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	var b build
	testkit.Must(t, json.Unmarshal([]byte(stdout), &b))
	testkit.Equal(t, "go", b.Go, runtime.Version())
	_, stdout, _ = command(t, nil, "version")
	testkit.Contains(t, "stdout", stdout, "version ", "revision ", "modified ", "time ", runtime.Version(), b.Platform)
	_, stdout, _ = command(t, nil, "--version")
	testkit.Equal(t, "stdout", stdout, "consumer "+b.line()+"\n")
}

// The linker's names are those that the Dockerfile writes.
func TestLinkedVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "consumer")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", path, "-ldflags",
		"-X main.linkedVersion=v1.2.3 -X main.linkedRevision=0123abcd -X main.linkedTime=2026-03-04T12:00:00Z", ".")
	cmd.Env = append(cmd.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), path, "--version").Output()
	testkit.Must(t, err)
	if !strings.HasPrefix(string(out), "consumer v1.2.3, revision 0123abcd, of 2026-03-04T12:00:00Z, ") {
		t.Errorf("%s", out)
	}
}
