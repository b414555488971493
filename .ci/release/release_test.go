package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// entries reads a tar: headers by name, in order, and texts.
func entries(t *testing.T, r io.Reader) (headers []*tar.Header, texts map[string][]byte) {
	t.Helper()
	texts = map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return headers, texts
		}
		must(t, err)
		headers = append(headers, h)
		texts[h.Name], err = io.ReadAll(archive)
		must(t, err)
	}
}

func TestArchiveIsTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	files := []file{
		{path: "b/program", mode: 0o755, text: []byte("one")},
		{path: "a", mode: 0o644, text: []byte("two")},
		{path: "b/c/text", mode: 0o644},
	}
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.tar.gz"), filepath.Join(dir, "two.tar.gz")
	must(t, writeArchive(one, below("top", files), noon))
	slices.Reverse(files)
	must(t, writeArchive(two, below("top", files), noon))
	first, err := os.ReadFile(one)
	must(t, err)
	second, err := os.ReadFile(two)
	must(t, err)
	if !bytes.Equal(first, second) {
		t.Error("the order of the files makes a difference")
	}
	zip, err := gzip.NewReader(bytes.NewReader(first))
	must(t, err)
	if zip.Name != "" || !zip.ModTime.IsZero() {
		t.Errorf("gzip notes %q, %s", zip.Name, zip.ModTime)
	}
	headers, texts := entries(t, zip)
	var names []string
	for _, h := range headers {
		names = append(names, h.Name)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(noon) {
			t.Errorf("%s: %+v", h.Name, h)
		}
	}
	if got := strings.Join(names, " "); got != "top/ top/a top/b/ top/b/c/ top/b/c/text top/b/program" {
		t.Error(got)
	}
	if string(texts["top/b/program"]) != "one" || headers[5].Mode != 0o755 {
		t.Errorf("%q, mode %o", texts["top/b/program"], headers[5].Mode)
	}
}

// The image is valid, equals the Dockerfile's, and is the same each time.
func TestImage(t *testing.T) {
	t.Parallel()
	r := &repository{dir: "../..", revision: "0123abcd", time: noon}
	programs := []program{
		{platform: "amd64", version: "v1.2.3", text: []byte("amd64's")},
		{platform: "arm64", version: "v1.2.3", text: []byte("arm64's")},
	}
	dir := t.TempDir()
	var texts [2][]byte
	for i := range texts {
		name := filepath.Join(dir, "image.tar")
		must(t, writeImage(name, r, programs, []file{{path: "LICENSE", mode: 0o644, text: []byte("may")}}, t.TempDir()))
		var err error
		texts[i], err = os.ReadFile(name)
		must(t, err)
	}
	if !bytes.Equal(texts[0], texts[1]) {
		t.Error("it differs the second time")
	}
	headers, files := entries(t, bytes.NewReader(texts[0]))
	unpacked := filepath.Join(dir, "unpacked")
	for _, h := range headers {
		at := filepath.Join(unpacked, h.Name)
		if h.Typeflag == tar.TypeDir {
			must(t, os.MkdirAll(at, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		must(t, os.WriteFile(at, files[h.Name], 0o644))
	}
	root, err := layout.ImageIndexFromPath(unpacked)
	must(t, err)
	must(t, validate.Index(root))
	top, err := root.IndexManifest()
	must(t, err)
	index, err := root.ImageIndex(top.Manifests[0].Digest)
	must(t, err)
	manifest, err := index.IndexManifest()
	must(t, err)
	for i, m := range manifest.Manifests {
		if m.Platform.Architecture != programs[i].platform {
			t.Errorf("image %d is for %s", i, m.Platform)
		}
		image, err := index.Image(m.Digest)
		must(t, err)
		c, err := image.ConfigFile()
		must(t, err)
		want := v1.Config{
			User: "65532:65532", WorkingDir: "/data", Volumes: set([]string{"/data"}), Entrypoint: []string{"/consumer"},
			ExposedPorts: set([]string{"8080/tcp"}),
			Env: []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HTTP_ADDR=0.0.0.0:8080",
			},
			Healthcheck: &v1.HealthConfig{
				Test: []string{"CMD", "/consumer", "health"}, Interval: 5 * time.Second, Timeout: 5 * time.Second,
				StartPeriod: 30 * time.Second, Retries: 6,
			},
			Labels: c.Config.Labels,
		}
		if diff := cmp.Diff(want, c.Config); diff != "" || !c.Created.Equal(noon) {
			t.Errorf("created %s, configuration (-want +got):\n%s", c.Created, diff)
		}
		for label, value := range map[string]string{
			"title": name, "version": "v1.2.3", "revision": "0123abcd", "created": "2026-03-04T12:00:00Z",
			"licenses": "Apache-2.0", "source": "https://example.com/tenant-provisioner",
		} {
			if got := c.Config.Labels["org.opencontainers.image."+label]; got != value {
				t.Errorf("label %s is %q, want %q", label, got, value)
			}
		}
		layers, err := image.Layers()
		must(t, err)
		content, err := layers[0].Uncompressed()
		must(t, err)
		inside, texts := entries(t, content)
		var names []string
		for _, h := range inside {
			names = append(names, h.Name)
			if want := map[bool]int{true: 65532}[h.Name == "data/"]; h.Uid != want || h.Gid != want {
				t.Errorf("%s is owned by %d", h.Name, h.Uid)
			}
		}
		if got := strings.Join(names, " "); got != "consumer data/ etc/ etc/ssl/ etc/ssl/certs/ etc/ssl/certs/ca-certificates.crt licenses/ licenses/LICENSE tmp/" {
			t.Error(got)
		}
		if !bytes.Equal(texts["consumer"], programs[i].text) {
			t.Errorf("the program for %s is another's", programs[i].platform)
		}
		if n := bytes.Count(texts["etc/ssl/certs/ca-certificates.crt"], []byte("BEGIN CERTIFICATE")); n < 100 {
			t.Errorf("%d certificates", n)
		}
	}
	var legacy []legacyImage
	must(t, json.Unmarshal(files["manifest.json"], &legacy))
	for _, l := range legacy {
		for _, path := range append(l.Layers, l.Config) {
			if files[path] == nil {
				t.Errorf("manifest.json: %s is not there", path)
			}
		}
	}
}

func TestStatic(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	must(t, err)
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	if err := checkStatic(self, machines[other]); err == nil {
		t.Error("a program for another machine passes")
	}
	if err := checkStatic("/bin/sh", machines[runtime.GOARCH]); err == nil || !strings.Contains(err.Error(), "not static") {
		t.Errorf("a program that is not static: %v", err)
	}
}

// Only committed files are released.
func TestRepositoryWithChangesIsRefused(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "")
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{
			"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false",
		}, args...)...)
		cmd.Env = append(cmd.Environ(), "GIT_COMMITTER_DATE=@1772625600 +0000")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		path = filepath.Join(dir, path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), mode))
	}
	git("init", "--quiet")
	write("README.md", "read", 0o644)
	write("deploy/run", "run", 0o755)
	write("other", "not for operators", 0o644)
	git("add", ".")
	git("commit", "--quiet", "--message", "all")
	r, err := openRepository(t.Context(), dir)
	must(t, err)
	if !r.time.Equal(noon) || len(r.revision) != 40 {
		t.Errorf("%+v", r)
	}
	documents, err := r.documents(t.Context())
	must(t, err)
	if len(documents) != 2 || documents[0].path != "README.md" || documents[0].mode != 0o644 ||
		documents[1].path != "deploy/run" || documents[1].mode != 0o755 || string(documents[1].text) != "run" {
		t.Errorf("%+v", documents)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	r, err = openRepository(t.Context(), dir)
	must(t, err)
	if r.time.Unix() != 1 {
		t.Errorf("SOURCE_DATE_EPOCH is passed over: %s", r.time)
	}
	write("new", "", 0o644)
	if _, err := openRepository(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "new") {
		t.Errorf("a file that is not committed: %v", err)
	}
}

// An instruction, or an argument, that the release cannot translate is an error: the image would differ from docker build's.
func TestDockerfileIsTranslatedInFull(t *testing.T) {
	t.Parallel()
	for dockerfile, want := range map[string]string{
		"FROM scratch\nSTOPSIGNAL SIGINT\n":      "stopsignal",
		"FROM scratch\nARG FLAVOUR\n":            "FLAVOUR",
		"FROM scratch\nENTRYPOINT /consumer\n":   "shell",
		"FROM scratch\nLABEL a=$VERSION b=b\n":   "",
		"FROM scratch\nARG VERSION\nUSER root\n": "",
		"FROMM scratch\n":                        "Dockerfile",
	} {
		r := &repository{dir: t.TempDir()}
		must(t, os.WriteFile(filepath.Join(r.dir, "Dockerfile"), []byte(dockerfile), 0o644))
		_, err := r.dockerConfig(map[string]string{"VERSION": "v1"})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
			t.Errorf("%q: %v, want %q", dockerfile, err, want)
		}
	}
}
