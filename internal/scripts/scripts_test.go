package scripts

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// write writes files below a new directory, by their paths, and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		testkit.Must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		testkit.Must(t, os.WriteFile(full, []byte(text), 0o644))
	}
	return dir
}

func script(name, content, text string, prepare bool) pipeline.Script {
	return pipeline.Script{Name: name, Text: text, SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(content))), Prepare: prepare}
}

func TestRead(t *testing.T) {
	t.Parallel()
	const ready, marked = "-- provisioner: prepare\nSELECT 1;\n", "\uFEFF-- provisioner: prepare \r\nSELECT 1;\r\n"
	dir := write(t, map[string]string{
		"postgres/020_b.sql": "SELECT 2;", "postgres/010_a.sql": ready, "postgres/.010_a.sql.swp": "x", "README.md": "x",
		"postgres/100_c.d-e.sql": "\uFEFF" + ready, "sqlite/010_a.sql": "SELECT 1", "postgres/999_z.sql": marked,
	})
	got, faults := Read(dir, Postgres)
	if faults != nil {
		t.Fatal(faults)
	}
	want := []pipeline.Script{
		script("010_a.sql", ready, ready, true), script("020_b.sql", "SELECT 2;", "SELECT 2;", false),
		script("100_c.d-e.sql", "\uFEFF"+ready, ready, true),
		script("999_z.sql", marked, strings.TrimPrefix(marked, "\uFEFF"), true),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, faults = Read(dir, SQLite)
	if len(got) != 1 || faults != nil {
		t.Error(got, faults)
	}
}

// Kubernetes mounts a ConfigMap as links to files in a hidden directory beside them.
func TestLinksWithinTheDirectory(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"postgres/..2026_11_27/010_a.sql": "SELECT 1;"})
	for link, target := range map[string]string{"..data": "..2026_11_27", "010_a.sql": "..data/010_a.sql"} {
		testkit.Must(t, os.Symlink(target, filepath.Join(dir, "postgres", link)))
	}
	outer := filepath.Join(t.TempDir(), "scripts")
	testkit.Must(t, os.Symlink(dir, outer)) // the directory itself may be a link
	got, faults := Read(outer, Postgres)
	if len(got) != 1 || got[0].Name != "010_a.sql" || faults != nil {
		t.Error(got, faults)
	}
}

// Every fault is reported, each with the file's path and what to do.
func TestFaults(t *testing.T) {
	t.Parallel()
	outside := write(t, map[string]string{"secret": "x"})
	for name, c := range map[string]struct {
		files map[string]string
		links map[string]string
		want  []string // after the directory
	}{
		"no directory of the engine": {files: map[string]string{"sqlite/010_a.sql": ""}, want: []string{
			"/postgres does not exist; put the scripts for this database there",
		}},
		"meant to be prepared": {
			files: map[string]string{
				"postgres/010_a.sql": "--provisioner: prepare", "postgres/020_b.sql": "SELECT 1;\r\n  -- Provisioner:prepare\r\n",
				"postgres/030_c.sql": "-- provisioner: prepare\n-- provisioner: prepare\n",
				"postgres/040_d.sql": "--  provisioner: prepare", "postgres/050_e.sql": "\n-- provisioner: prepare",
			},
			want: []string{
				`/postgres/010_a.sql: "--provisioner: prepare" says nothing to the service; write -- provisioner: prepare as the first line, or remove it`,
				`/postgres/020_b.sql: "-- Provisioner:prepare" says nothing to the service; write -- provisioner: prepare as the first line, or remove it`,
				`/postgres/030_c.sql: "-- provisioner: prepare" says nothing to the service; write -- provisioner: prepare as the first line, or remove it`,
				`/postgres/040_d.sql: "--  provisioner: prepare" says nothing to the service; write -- provisioner: prepare as the first line, or remove it`,
				`/postgres/050_e.sql: "-- provisioner: prepare" says nothing to the service; write -- provisioner: prepare as the first line, or remove it`,
			},
		},
		"a file in its place": {files: map[string]string{"postgres": ""}, want: []string{"/postgres: not a directory; put a directory there"}},
		"empty": {files: map[string]string{"postgres/.hidden": ""}, want: []string{
			"/postgres has no scripts; put files named like 010_orders.sql there",
		}},
		"names": {
			files: map[string]string{
				"postgres/10_a.sql": "", "postgres/010-a.sql": "", "postgres/010_a.SQL": "", "postgres/010_a.sql~": "",
				"postgres/README": "", "postgres/020_b.sql": "", "postgres/0200_b.sql": "", "postgres/010_ä.sql": "",
			},
			want: []string{
				"/postgres/010-a.sql is not", "/postgres/010_a.SQL is not", "/postgres/010_a.sql~ is not",
				"/postgres/010_ä.sql is not", "/postgres/0200_b.sql is not", "/postgres/10_a.sql is not", "/postgres/README is not",
			},
		},
		"one number twice": {
			files: map[string]string{"postgres/010_a.sql": "", "postgres/010_b.sql": "", "postgres/011_c.sql": ""},
			want:  []string{"/postgres/010_a.sql and 010_b.sql have the same number; give one of them another"},
		},
		"content": {
			files: map[string]string{
				"postgres/010_a.sql": "SELECT '\xff';", "postgres/020_b.sql": "SELECT 1;\x00", "postgres/030_c.sql/x": "",
				"postgres/040_d.sql": "-- provisioner: prepared\n", "postgres/050_e.sql": strings.Repeat(" ", maxFile+1),
			},
			want: []string{
				"/postgres/010_a.sql: is not UTF-8; save it as UTF-8",
				"/postgres/020_b.sql: contains a NUL byte; save it as UTF-8",
				"/postgres/030_c.sql: is not a regular file; replace it by one, or move it away",
				`/postgres/040_d.sql: "-- provisioner: prepared" says nothing to the service; write -- provisioner: prepare as the first line, or remove it`,
				"/postgres/050_e.sql: is larger than 4 MiB; split it, or load large data after the tenant is provisioned",
			},
		},
		"links": {
			files: map[string]string{"postgres/000_a.sql": ""},
			links: map[string]string{
				"postgres/010_a.sql": filepath.Join(outside, "secret"), "postgres/020_b.sql": "../../secret",
				"postgres/030_c.sql": "missing",
			},
			want: []string{
				"/postgres/010_a.sql: is a link that leads to no file of the directory (path escapes from parent); replace it by the file",
				"/postgres/020_b.sql: is a link that leads to no file of the directory (path escapes from parent); replace it by the file",
				"/postgres/030_c.sql: is a link that leads to no file of the directory (no such file or directory); replace it by the file",
			},
		},
		"a linked directory": {
			files: map[string]string{"sqlite/010_a.sql": ""}, links: map[string]string{"postgres": outside},
			want: []string{"/postgres: path escapes from parent; put a directory there that this user may read"},
		},
	} {
		dir := write(t, c.files)
		for link, target := range c.links {
			testkit.Must(t, os.Symlink(target, filepath.Join(dir, filepath.FromSlash(link))))
		}
		_, faults := Read(dir, Postgres)
		if len(faults) != len(c.want) {
			t.Errorf("%s: %v", name, faults)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(faults[i].Error(), dir+want) {
				t.Errorf("%s: %v, want %s", name, faults[i], want)
			}
		}
	}
	_, faults := Read(filepath.Join(outside, "gone"), Postgres)
	if len(faults) != 1 || !strings.Contains(faults[0].Error(), "gone: no such file or directory") {
		t.Error(faults)
	}
}
