package config

import (
	"fmt"
	"strings"

	"example.com/tenant-provisioner/internal/sql/postgres"
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

Blanks and line breaks around a value do not count. A variable that is set and empty has its default, except
` + emptyMeans() + `, where empty is a value of its own. A value that begins with a quotation mark, or that holds a line
break, is refused. The program warns of a variable whose name resembles one of these.

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
	writePostgres(&b)
	b.WriteString(`
## Traces

Off unless one of these is set: ` + code(strings.Join(traceSwitches, "`, `")) + `.
OpenTelemetry's own libraries read them, and these others; all are checked at start, as the variables above:

` + "`" + strings.Join(traceNames(), "`,\n`") + "`" + `.

` + code(traceHeaders+fileSuffix) + ` is the program's own: a file with the value of
` + code(traceHeaders) + `, which is read again for each export. Instead of that variable.
`)
	return b.String()
}

// emptyMeans lists the variables of which empty is a value that differs from the default.
func emptyMeans() string {
	var names []string
	for _, v := range variables() {
		if v.constraint.optional {
			names = append(names, code(v.name))
		}
	}
	return strings.Join(names, ", ")
}

// writePostgres writes what the connection to PostgreSQL can be configured by.
func writePostgres(b *strings.Builder) {
	b.WriteString(`
## Parameters of DATABASE_URL

Those of a PostgreSQL URL, after its ` + "`?`" + `. Any other name is refused, except one with a dot, which is a setting
of an extension. The service makes settings of the session after it has connected, so that a pooler need not know them.
How they are used: [deploying](deploying.md).

| parameters | allowed | |
|---|---|---|
`)
	for _, g := range postgres.ParameterGroups() {
		fmt.Fprintf(b, "| %s | %s | %s |\n", code(strings.Join(g.Names, "`, `")), g.Values, g.Effect)
	}
	b.WriteString(`
## Variables of libpq

With PostgreSQL these are the defaults of parameters that ` + "`DATABASE_URL`" + ` does not have, also of its host,
user, password and database. ` + "`consumer config`" + ` shows those that are set. Other variables of libpq have no
effect.

| variable | parameter |
|---|---|
`)
	for _, v := range postgres.Variables {
		fmt.Fprintf(b, "| %s | %s |\n", code(v.Name), code(v.Parameter))
	}
}

// code formats text as code; empty text stays empty.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
