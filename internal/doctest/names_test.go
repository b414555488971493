package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// Promise 3.
func TestNamedCommandsExist(t *testing.T) {
	t.Parallel()
	h := helps{t: t, program: consumer(t), texts: map[string]string{}}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	testkit.Must(t, err)
	file := regexp.MustCompile(`^(docs|deploy|internal|cmd|events|\.ci)(/[\w.-]+)+$`)
	found := 0
	for _, d := range documents(t) {
		for _, s := range d.spans {
			words := strings.Fields(s.text)
			if len(words) == 0 {
				continue
			}
			switch name := strings.TrimPrefix(words[0], "bin/"); {
			case name == "consumer" || name == "/consumer":
				found++
				h.check(d.path, s, words[1:])
			case name == "make" && len(words) > 1 && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(words[1])+`:`).Match(makefile):
				t.Errorf("%s:%d: the Makefile has no %s", d.path, s.line, words[1])
			case file.MatchString(s.text):
				if _, err := os.Stat(filepath.Join(root, s.text)); err != nil {
					t.Errorf("%s:%d: there is no %s", d.path, s.line, s.text)
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d commands", found)
	}
}

// helps caches the help texts of commands.
type helps struct {
	t       *testing.T
	program string
	texts   map[string]string
}

func (h helps) text(command []string) string {
	key := strings.Join(command, " ")
	if h.texts[key] == "" {
		h.texts[key] = output(h.t, h.program, append(command, "--help")...)
	}
	return h.texts[key]
}

var (
	subcommand = regexp.MustCompile(`^[a-z][a-z-]*$`)
	anyFlag    = regexp.MustCompile(`^--[a-z-]+`)
)

// check follows the words of a command to its help, which must have the flags that are named.
func (h helps) check(path string, s span, words []string) {
	h.t.Helper()
	var command []string
	for len(words) > 0 && subcommand.MatchString(words[0]) {
		_, list, hasMore := strings.Cut(h.text(command), "Available Commands:")
		if !hasMore {
			break // the rest are arguments
		}
		if !regexp.MustCompile(`(?m)^  ` + words[0] + ` `).MatchString(list) {
			h.t.Errorf("%s:%d: there is no command %s", path, s.line, s.text)
			return
		}
		command, words = append(command, words[0]), words[1:]
	}
	for _, word := range words {
		flag := anyFlag.FindString(strings.Trim(word, "[]"))
		if flag != "" && !regexp.MustCompile(regexp.QuoteMeta(flag)+`\b`).MatchString(h.text(command)) {
			h.t.Errorf("%s:%d: %s: there is no flag %s", path, s.line, s.text, flag)
		}
	}
}
