package main

import (
	"go/version"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listed is the version of Go whose own library is in the list. Another one may have other texts.
const listed = "go1.26"

// The files of the repository are those that make licenses writes.
func TestFilesAreCurrent(t *testing.T) {
	if version.Lang(runtime.Version()) != listed {
		t.Skipf("the list has the library of %s, this is %s; with a new version in go.mod run make licenses", listed, runtime.Version())
	}
	const repository = "../.."
	files, err := generate(t.Context(), repository)
	must(t, err)
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(repository, path))
		must(t, err)
		if string(got) != string(want) {
			t.Errorf("%s is not what the modules require; run: make licenses", path)
		}
	}
}

const gpl = `This program is free software: you can redistribute it and/or modify it under the terms of
the GNU General Public License as published by the Free Software Foundation, either
version 3 of the License, or (at your option) any later version.`

const mit = `Copyright (c) 2026 A

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

// Every place of a licence is found, and one that is not allowed is refused.
func TestModule(t *testing.T) {
	for name, c := range map[string]struct {
		files    map[string]string
		licences []string
		texts    int
		err      string
	}{
		"a file":                {map[string]string{"LICENSE": mit}, []string{"MIT"}, 1, ""},
		"above a package":       {map[string]string{"LICENSE.txt": mit, "p/COPYING": strings.Replace(mit, "2026 A", "2026 B", 1)}, []string{"MIT"}, 2, ""},
		"the same text twice":   {map[string]string{"LICENSE": mit, "p/LICENSE": strings.ReplaceAll(mit, "\n", "\r\n")}, []string{"MIT"}, 1, ""},
		"beside the package":    {map[string]string{"LICENSE": mit, "q/LICENSE": gpl}, []string{"MIT"}, 1, ""},
		"in a comment":          {map[string]string{"LICENSE": mit, "p/p.go": "/*\n" + strings.Replace(mit, "2026 A", "2026 B", 1) + "*/\n\npackage p\n"}, []string{"MIT"}, 2, ""},
		"a notice":              {map[string]string{"LICENSE": mit, "NOTICE": "Copyright A"}, []string{"MIT"}, 2, ""},
		"none":                  {map[string]string{}, nil, 0, "no licence"},
		"an unknown one":        {map[string]string{"LICENSE": "Ask us."}, nil, 0, "unknown licence"},
		"a refused one":         {map[string]string{"LICENSE": mit, "p/LICENSE": gpl}, nil, 0, "not in allowed"},
		"refused, in a comment": {map[string]string{"LICENSE": mit, "p/p.go": "// " + strings.ReplaceAll(gpl, "\n", "\n// ") + "\npackage p\n"}, nil, 0, "not in allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.files["p/p.go"] == "" {
				c.files["p/p.go"] = "package p\n"
			}
			for path, text := range c.files {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644))
			}
			all := &collection{known: map[string]int{}}
			err := all.addModule(&module{
				path: "example.com/m", version: "v1.0.0", dir: dir,
				dirs:  map[string]bool{filepath.Join(dir, "p"): true},
				files: map[string]bool{filepath.Join(dir, "p", "p.go"): true},
			})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%v; want an error with %q", err, c.err)
				}
				return
			}
			must(t, err)
			if got := all.components[0]; !slices.Equal(got.Licences, c.licences) || len(got.texts) != c.texts {
				t.Errorf("%+v; want %v in %d texts", got, c.licences, c.texts)
			}
		})
	}
}
