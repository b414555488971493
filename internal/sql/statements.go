package sql

import (
	"fmt"
	"strings"

	"example.com/tenant-provisioner/internal/pipeline"
)

// FailedIndexes maps the positions of failed statements to the names of their indexes.
func FailedIndexes(failed map[int]error) map[string]error {
	named := make(map[string]error, len(failed))
	for i, err := range failed {
		named[Indexes[i].Name] = err
	}
	return named
}

// RelatedPo is the column that DocEX's tables lack.
var RelatedPo = pipeline.Addition{Table: "document", Column: "related_po"}

// AddColumns returns statements that add columns to tables, as the text of the engine's tables.sql defines them.
func AddColumns(ddl string, columns ...pipeline.Addition) string {
	var b strings.Builder
	for _, c := range columns {
		for _, statement := range Statements(ddl) {
			head, body, _ := strings.Cut(statement, " (\n")
			name, isTable := strings.CutPrefix(head, "CREATE TABLE IF NOT EXISTS ")
			if !isTable || name[strings.LastIndex(name, ".")+1:] != c.Table {
				continue
			}
			for line := range strings.Lines(body) {
				if first, _, _ := strings.Cut(strings.TrimSpace(line), " "); first == c.Column {
					fmt.Fprintf(&b, "ALTER TABLE %s ADD COLUMN %s;\n", name, strings.TrimRight(strings.TrimSpace(line), ","))
				}
			}
		}
	}
	return b.String()
}

// Statements splits the text of a .sql file. Comments between statements must be whole lines, and every statement must
// end at the end of a line.
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
	if b.Len() > 0 {
		statements = append(statements, b.String())
	}
	return statements
}
