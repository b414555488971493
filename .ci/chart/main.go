// Command chart writes the parts of the Helm chart that have another source, because helm reads no file outside of the
// chart: the alert rules, the dashboard, and the names of all variables, which the schema of the values requires. make
// docs runs it. Its tests, make chart-check, render the chart with helm's own library; that library is the reason for
// a module of its own.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// chartDir is the chart, from the repository's root.
const chartDir = "deploy/helm/tenant-provisioner"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "chart: name the repository: make docs does")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "chart: %v\n", err)
		os.Exit(1)
	}
}

func write(root string) error {
	files, err := derived(root)
	if err != nil {
		return err
	}
	for path, text := range files {
		if err := os.WriteFile(filepath.Join(root, path), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// derived are the files of the chart that are made from others, by their paths from root.
func derived(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for copied, source := range map[string]string{
		"files/alerts.yml":     "deploy/prometheus/alerts.yml",
		"files/dashboard.json": "deploy/grafana/dashboard.json",
	} {
		text, err := os.ReadFile(filepath.Join(root, source))
		if err != nil {
			return nil, err
		}
		files[filepath.Join(chartDir, copied)] = text
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	if err != nil {
		return nil, err
	}
	names, err := variables(string(page))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(chartDir, "values.schema.json")
	schema, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return nil, err
	}
	files[path], err = withNames(schema, names)
	return files, err
}

var (
	row  = regexp.MustCompile("(?m)^\\| `([A-Z][A-Z0-9_]*)` \\|")
	code = regexp.MustCompile("`([A-Z][A-Z0-9_]*)`")
)

// variables are the names of all variables in docs/configuration.md that are not secret by themselves, sorted: those of
// its tables and of its section about traces.
func variables(page string) (names []string, _ error) {
	tables, traces, found := strings.Cut(page, "\n## Traces\n")
	for _, match := range slices.Concat(row.FindAllStringSubmatch(tables, -1), code.FindAllStringSubmatch(traces, -1)) {
		if !strings.HasSuffix(match[1], "PASSWORD") {
			names = append(names, match[1])
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if !found || len(names) < 30 {
		return nil, fmt.Errorf("docs/configuration.md has %d variables, and a section about traces: %t", len(names), found)
	}
	return names, nil
}

// configNames is the schema's list of the names below config.
var configNames = regexp.MustCompile(`("required": \["HTTP_ADDR"\],\s*"additionalProperties": false,\s*"properties": )` +
	`\{(?:[^{}]|\{[^{}]*\})*\}`)

func withNames(schema []byte, names []string) ([]byte, error) {
	if len(configNames.FindAll(schema, -1)) != 1 {
		return nil, errors.New(`values.schema.json: the properties of config must be there once, before other rules`)
	}
	var list strings.Builder
	for i, name := range names {
		end := ","
		if i == len(names)-1 {
			end = ""
		}
		fmt.Fprintf(&list, "\n        %q: {\"$$ref\": \"#/definitions/variable\"}%s", name, end)
	}
	return configNames.ReplaceAll(schema, []byte("${1}{"+list.String()+"\n      }")), nil
}
