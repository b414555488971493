package sql

import "strings"

// FailedIndexes maps the positions of failed statements to the names of their indexes.
func FailedIndexes(failed map[int]error) map[string]error {
	named := make(map[string]error, len(failed))
	for i, err := range failed {
		named[Indexes[i].Name] = err
	}
	return named
}

// Statements splits the text of a .sql file with DDL. Comments must be whole lines, and every statement must end at the
// end of a line.
func Statements(text string) []string {
	var statements []string
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \n"); line == "" || strings.HasPrefix(line, "--") {
			continue
		}
		last, ends := strings.CutSuffix(line, ";")
		b.WriteString(last)
		if !ends {
			b.WriteByte('\n')
			continue
		}
		statements = append(statements, b.String())
		b.Reset()
	}
	return statements
}
