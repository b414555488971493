package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Details returns what an error of the server says in addition to its message, under the names that psql uses: DETAIL,
// HINT and CONTEXT. It is empty for other errors. The text of an error leaves it out, and so do logs and outcomes: a
// DETAIL can contain a row.
func Details(err error) string {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return ""
	}
	var b strings.Builder
	for _, part := range [][2]string{
		{"DETAIL", server.Detail}, {"HINT", server.Hint}, {"CONTEXT", firstLines(server.Where)},
	} {
		if part[1] != "" {
			b.WriteString("; " + part[0] + ": " + part[1])
		}
	}
	return b.String()
}

// maxContext is how many lines of a CONTEXT are shown. One of a recursion that the server stops has hundreds.
const maxContext = 5

func firstLines(text string) string {
	lines := strings.Split(text, "\n")
	if more := len(lines) - maxContext; more > 0 {
		return fmt.Sprintf("%s\n(and %d lines more)", strings.Join(lines[:maxContext], "\n"), more)
	}
	return text
}
