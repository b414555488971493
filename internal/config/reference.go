package config

import (
	"fmt"
	"strings"
)

// Reference returns the meaning of each variable, for a terminal.
func Reference() string {
	var b strings.Builder
	for _, v := range variables() {
		fmt.Fprintf(&b, "  %s\n      %s\n", strings.TrimSuffix(v.name+"="+v.fallback, "="), v.meaning)
		if values := v.values(); values != "" {
			fmt.Fprintf(&b, "      Allowed: %s.\n", values)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// ReferencePage returns docs/configuration.md.
func ReferencePage() string {
	var b strings.Builder
	b.WriteString(`# Configuration

Generated from the program's source by ` + "`make docs`" + `; do not edit it here.

All configuration comes from the environment. Every variable has a default that works. At start the program reports
all invalid variables at once, each by its name, and starts nothing.

` + "```sh\n" + `consumer config              # the effective values, secrets redacted
consumer config --json
consumer config --help       # this reference
` + "```\n")
	for _, v := range variables() {
		if v.group != "" {
			fmt.Fprintf(&b, "\n## %s\n\n| variable | default | allowed | |\n|---|---|---|---|\n", v.group)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.name, code(v.fallback), v.values(), v.meaning)
	}
	b.WriteString(`
## Traces

Off unless one of these is set: ` + code(strings.Join(traceSwitches, "`, `")) + `.
OpenTelemetry's own libraries read them, and these others; all are checked at start, as the variables above:

` + traceNames() + `
`)
	return b.String()
}

// traceNames lists OpenTelemetry's variables as code.
func traceNames() string {
	var names []string
	for _, v := range traceVariables {
		names = append(names, code(v.name))
	}
	return strings.Join(names, ",\n") + "."
}

// code formats text as code; empty text stays empty.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
