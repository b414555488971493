package doctest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"example.com/tenant-provisioner/internal/testkit"
)

// Promise 2.
func TestCodeBlocks(t *testing.T) {
	t.Parallel()
	examples := exampleFiles(t)
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			var err error
			switch b.language {
			case "sh": // TestCommandsRun
			case "text":
			case "python", "typescript": // TestClientsInOtherLanguages
			case "json":
				err = json.Unmarshal([]byte(b.code), new(any))
			case "ini": // the program's environment
				given := assignments(b.code)
				knowsVariables(t, fmt.Sprintf("%s:%d", d.path, b.line), given)
				if len(given) == 0 {
					t.Errorf("%s:%d: no variable is set", d.path, b.line)
				}
			case "yaml":
				err = yaml.UnmarshalStrict([]byte(b.code), new(any))
			case "go":
				if !isPartOf(examples, b.code) {
					t.Errorf("%s:%d: these lines are in no example_test.go, so nothing compiles them:\n%s",
						d.path, b.line, b.code)
				}
			default:
				t.Errorf("%s:%d: a code block in %q; fence it as sh (it is run), go (a part of an example), python or typescript (checked by their programs), ini (the "+
					"program's environment), json, yaml or text", d.path, b.line, b.language)
			}
			if err != nil {
				t.Errorf("%s:%d: %v", d.path, b.line, err)
			}
		}
	}
}

// exampleFiles returns the sources of compiled examples, without indentation.
func exampleFiles(t *testing.T) (all []string) {
	t.Helper()
	testkit.Must(t, fs.WalkDir(os.DirFS(root), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "example_test.go" {
			return err
		}
		source, err := os.ReadFile(filepath.Join(root, path))
		all = append(all, flat(string(source)))
		return err
	}))
	if len(all) == 0 {
		t.Fatal("there are no examples")
	}
	return all
}

func isPartOf(files []string, code string) bool {
	for _, file := range files {
		if strings.Contains(file, flat(code)) {
			return true
		}
	}
	return false
}

// flat returns code without indentation, between newlines.
func flat(code string) string {
	var b strings.Builder
	b.WriteByte('\n')
	for line := range strings.Lines(code) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
