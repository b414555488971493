package sql

import "strings"

// Statements splits the text of an indexes.sql file, which has one statement a line.
func Statements(text string) []string {
	var statements []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ";")
		if line != "" && !strings.HasPrefix(line, "--") {
			statements = append(statements, line)
		}
	}
	return statements
}
