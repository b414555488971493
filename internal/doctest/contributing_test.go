package doctest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"example.com/tenant-provisioner/internal/testkit"
)

const modulePath = "example.com/tenant-provisioner"

// The command of CONTRIBUTING.md changes the module path in all files: every package is found under the new one, and no
// file names the old one. Only that page states that the path is a placeholder.
func TestModulePathIsChanged(t *testing.T) {
	t.Parallel()
	statements, err := read(t, "CONTRIBUTING.md").statements()
	testkit.Must(t, err)
	var command string
	for _, s := range statements {
		if strings.HasPrefix(s.text, "git grep") {
			command = s.text
		}
	}
	if command == "" {
		t.Fatal("CONTRIBUTING.md has no command that changes the module path")
	}

	dir := copyTree(t)
	run := func(program string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("git", "init", "--quiet")
	run("git", "add", "--all")
	run("bash", "-c", "set -o pipefail; "+command)
	left := exec.CommandContext(t.Context(), "git", "grep", "-n", "--fixed-strings", modulePath)
	left.Dir = dir
	if out, err := left.Output(); err == nil {
		t.Errorf("still named:\n%s", out)
	}
	run("go", "list", "-deps", "-test", "-tags", "soak,upgrade,bench,external,asyncapi", "./...") // fails on an import that is not found
	for _, module := range []string{".ci/release", ".ci/licenses"} {
		run("go", "-C", module, "list", "./...")
	}
	if dirty := run("bash", "-c", "gofmt -l cmd events internal .ci"); dirty != "" {
		t.Errorf("no longer formatted: %s", dirty)
	}
	for _, d := range documents(t) {
		if strings.Contains(d.source, modulePath) && d.path != "CONTRIBUTING.md" {
			t.Errorf("%s names the module path", d.path)
		}
	}
}

// copyTree copies the files of the repository, without what is built and stored there.
func copyTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source := os.DirFS(root)
	entries, err := os.ReadDir(root)
	testkit.Must(t, err)
	for _, entry := range entries {
		name := entry.Name()
		switch name {
		case ".git", "bin", "dist", "storage":
			continue
		}
		if !entry.IsDir() {
			text, err := os.ReadFile(filepath.Join(root, name))
			testkit.Must(t, err)
			testkit.Must(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
			continue
		}
		sub, err := fs.Sub(source, name)
		testkit.Must(t, err)
		testkit.Must(t, os.CopyFS(filepath.Join(dir, name), sub))
	}
	return dir
}

// The forge's files parse, and the fields that they have are those of the commands that they name.
func TestForgeFiles(t *testing.T) {
	t.Parallel()
	h := helps{t: t, program: consumer(t), texts: map[string]string{}}
	found := 0
	testkit.Must(t, fs.WalkDir(os.DirFS(root), ".github", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yml" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		testkit.Must(t, err)
		var form struct {
			Body []struct {
				Attributes struct{ Label string }
			}
		}
		if err := yaml.Unmarshal(text, &form); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, field := range form.Body {
			if words := strings.Fields(field.Attributes.Label); len(words) > 1 && words[0] == "consumer" {
				h.check(path, span{text: field.Attributes.Label}, words[1:])
				found++
			}
		}
		return nil
	}))
	if found < 3 {
		t.Errorf("the issue form names %d commands", found)
	}
}
