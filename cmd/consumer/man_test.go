package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// Each command that the help lists has a page, with its flags; that of config has all variables.
func TestManualPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1772625600")
	dir := t.TempDir()
	code, stdout, stderr := command(t, nil, "man", dir)
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "output", stdout+stderr, "")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	testkit.Must(t, err)
	pages := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		testkit.Must(t, err)
		pages[filepath.Base(file)] = string(text)
	}
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		testkit.Contains(t, name, pages[name], ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", `"Mar 2026"`, cmd.Short)
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			testkit.Contains(t, name, pages[name], `\fB--`+f.Name+`\fP`)
		})
		delete(pages, name)
		for _, child := range cmd.Commands() {
			if child.IsAvailableCommand() {
				check(child)
			}
		}
	}
	all := pages["consumer-config.1"]
	code, stdout, _ = command(t, nil, "config", "--json")
	testkit.Equal(t, "exit code", code, 0)
	var values map[string]string
	testkit.Must(t, json.Unmarshal([]byte(stdout), &values))
	for name := range values {
		testkit.Contains(t, "consumer-config.1", all, ".TP\n"+name)
	}
	check(newRoot(&app{terminal.IO{}}))
	for name := range pages {
		t.Errorf("%s is the page of a command that the help does not list", name)
	}
}

func TestManualPagesNeedADirectory(t *testing.T) {
	t.Parallel()
	code, _, stderr := command(t, nil, "man", filepath.Join(t.TempDir(), "missing"))
	testkit.Equal(t, "exit code", code, 1)
	testkit.Contains(t, "stderr", stderr, "missing")
	code, _, _ = command(t, nil, "man")
	testkit.Equal(t, "exit code without a directory", code, 2)
}
