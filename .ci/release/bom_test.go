package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schema is the official one, of a version that writeBOM writes, from the module of the library.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	must(t, err)
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	c := jsonschema.NewCompiler()
	for url, file := range map[string]string{
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		must(t, err)
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		must(t, err)
		must(t, c.AddResource(url, document))
	}
	text, err := os.ReadFile(filepath.Join(dir, "bom-1.6.schema.json"))
	must(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	must(t, err)
	const url = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	must(t, c.AddResource(url, document))
	s, err := c.Compile(url)
	must(t, err)
	return s
}

// The lists name what the programs report, with the licences of this commit, and are as the official schema requires.
func TestBOM(t *testing.T) {
	t.Parallel()
	r := &repository{dir: "../..", revision: "0123abcd", time: noon}
	licences, err := r.components()
	must(t, err)
	info := &debug.BuildInfo{GoVersion: "go1.26.8 X:some", Main: debug.Module{Path: "example.com/tenant-provisioner"}, Deps: []*debug.Module{
		{Path: "github.com/IBM/pgxpoolprometheus", Version: "v1.1.3", Sum: "h1:" + strings.Repeat("A", 43) + "="},
		{Path: "github.com/wasilibs/go-pgquery", Version: "v1.0.0+incompatible"},
		{Path: "modernc.org/sqlite", Version: "v1.62.0"},
	}}
	programs := []program{
		{platform: "amd64", version: "v1.2.3", text: []byte("amd64's"), info: info},
		{platform: "arm64", version: "v1.2.3", text: []byte("arm64's"), info: info},
	}
	archive, err := r.archiveBOM(programs[0], licences)
	must(t, err)
	image, err := r.imageBOM(programs, licences)
	must(t, err)
	valid := schema(t)
	if err := valid.Validate(map[string]any{"bomFormat": "other", "specVersion": "1.6"}); err == nil {
		t.Error("the schema permits any document")
	}
	for kind, c := range map[string]struct {
		bom  *cdx.BOM
		want string
	}{
		"archive": {archive, "std github.com/IBM/pgxpoolprometheus github.com/wasilibs/go-pgquery modernc.org/sqlite"},
		"image": {image, "Mozilla's root certificates tenant-provisioner tenant-provisioner std " +
			"github.com/IBM/pgxpoolprometheus github.com/wasilibs/go-pgquery modernc.org/sqlite"},
	} {
		path := filepath.Join(t.TempDir(), "bom.json")
		must(t, writeBOM(path, c.bom))
		text, err := os.ReadFile(path)
		must(t, err)
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		must(t, err)
		if err := valid.Validate(document); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, text)
		}
		var got cdx.BOM
		must(t, json.Unmarshal(text, &got))
		var names []string
		for _, component := range *got.Components {
			names = append(names, component.Name)
		}
		if all := strings.Join(names, " "); all != c.want {
			t.Errorf("%s: %s", kind, all)
		}
		for _, part := range []string{
			`"purl": "pkg:golang/std@1.26.8"`, `"purl": "pkg:golang/github.com/ibm/pgxpoolprometheus@v1.1.3"`,
			`@v1.0.0%2Bincompatible"`, `"content": "` + strings.Repeat("0", 64) + `"`, `"id": "Apache-2.0"`, `"name": "SQLite"`,
			`"expression": "LicenseRef-Public-Domain"`, `"timestamp": "2026-03-04T12:00:00Z"`,
		} {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s: %s is missing", kind, part)
			}
		}
	}
	if archive.SerialNumber == image.SerialNumber {
		t.Errorf("archive and image have the same serial number %s", image.SerialNumber)
	}
	broken := slices.DeleteFunc(licences, func(c component) bool { return c.Name == "modernc.org/sqlite" })
	if _, err := r.archiveBOM(programs[0], broken); err == nil || !strings.Contains(err.Error(), "make licenses") {
		t.Errorf("a module without a licence: %v", err)
	}
}
