package sql

import "strings"

// FailedIndexes names the indexes of the definition whose statements failed, given by their places.
func FailedIndexes(failed map[int]error) map[string]error {
	named := make(map[string]error, len(failed))
	for i, err := range failed {
		named[Indexes[i].Name] = err
	}
	return named
}

// Statements splits the text of a .sql file of DDL: comments are whole lines, a statement ends with its line.
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
