package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestVersionCommand(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, nil, "version", "--json")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	var b buildinfo.Build
	testkit.Must(t, json.Unmarshal([]byte(stdout), &b))
	testkit.Equal(t, "go", b.Go, runtime.Version())
	_, stdout, _ = command(t, nil, "version")
	testkit.Contains(t, "stdout", stdout, "version ", "revision ", "modified ", "time ", runtime.Version(), b.Platform)
	_, stdout, _ = command(t, nil, "--version")
	testkit.Equal(t, "stdout", stdout, "consumer "+b.Line()+"\n")
}

// The image is built without the repository: its Dockerfile sets version and revision by name.
func TestDockerfileSetsVersion(t *testing.T) {
	t.Parallel()
	dockerfile, err := os.ReadFile("../../Dockerfile")
	testkit.Must(t, err)
	flags := regexp.MustCompile(`-ldflags="(.*?)"`).FindSubmatch(dockerfile)
	if flags == nil {
		t.Fatal("no -ldflags in the Dockerfile")
	}
	linked := strings.NewReplacer("${VERSION}", "v1.2.3", "${REVISION}", "0123abcd",
		"${BUILDINFO}", reflect.TypeFor[buildinfo.Build]().PkgPath()).Replace(string(flags[1]))
	path := filepath.Join(t.TempDir(), "consumer")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", path,
		"-ldflags", linked, ".")
	cmd.Env = append(cmd.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), path, "--version").Output()
	testkit.Must(t, err)
	if !strings.HasPrefix(string(out), "consumer v1.2.3, revision 0123abcd, ") {
		t.Errorf("%s", out)
	}
}
