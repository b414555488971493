package postgres

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// The CONTEXT of an error is in the server's language; its numbers count the rows of the COPY.
func TestPositionOfACopyError(t *testing.T) {
	t.Parallel()
	c := &seedCopy{table: "t 1, line 9", columns: []string{"a", "b c: d"}, lines: []int{2, 5, 9}}
	for where, want := range map[string]struct {
		line   int
		column string
	}{
		"":                         {0, ""},
		`COPY t 1, line 9, line 2`: {5, ""},
		`COPY t 1, line 9, line 3, column a: "x, 1"`:                           {9, "a"},
		`COPY t 1, line 9, line 3, column b c: d: "x"`:                         {9, "b c: d"},
		`COPY t 1, line 9, line 1, column a, null input`:                       {2, "a"},
		`COPY t 1, line 9, line 1: "1	2"`:                                      {2, ""},
		`COPY t 1, line 9, Zeile 2, Spalte a: »x«`:                             {5, "a"},
		`COPY t 1, line 9, строка 2, столбец a: "x"`:                           {5, "a"},
		`COPY t 1, line 9, 行 2, 列 a: "x"`:                                      {5, "a"},
		"PL/pgSQL function f() line 3 at RAISE\nCOPY t 1, line 9, line 2":      {5, ""},
		"SQL statement \"COPY x, line 7\"\nCOPY t 1, line 9, line 2, column a": {5, "a"},
		`COPY t 1, line 9, line 4`:                                             {0, ""},
		`COPY t 1, line 9, line 0`:                                             {0, ""},
		`COPY other, line 2`:                                                   {0, ""},
		`COPY t 1, line 9, line 99999999999999999999`:                          {0, ""},
	} {
		line, column := c.position(&pgconn.PgError{Where: where})
		if line != want.line || column != want.column {
			t.Errorf("%s: line %d, column %q, want %+v", where, line, column, want)
		}
	}
	if line, column := c.position(&pgconn.PgError{Where: "COPY t 1, line 9, line 1", ColumnName: "a"}); line != 2 || column != "a" {
		t.Errorf("line %d, column %q", line, column)
	}
}

// readCopy reads all of a template, in buffers of that size.
func readCopy(t *testing.T, template pipeline.Template, v pipeline.Values, size int) string {
	t.Helper()
	var b strings.Builder
	_, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{&copyReader{rest: template, values: v}}, make([]byte, size))
	testkit.Must(t, err)
	return b.String()
}

// unescape reads COPY's text format as the manual of PostgreSQL describes it.
func unescape(text string) string {
	return regexp.MustCompile(`(?s)\\(.)`).ReplaceAllStringFunc(text, func(s string) string {
		if c, ok := map[string]string{`\n`: "\n", `\r`: "\r", `\t`: "\t"}[s]; ok {
			return c
		}
		return s[1:]
	})
}

// A value stays within its field, is no null and no end of the data, and can be read again, in buffers of any size.
func FuzzCopyText(f *testing.F) {
	for _, text := range []string{"", `\N`, `\.`, "a\tb\nc\r\\", "\\\n", "é\U0001f600", "${tenant_id}"} {
		f.Add(text, 7)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		size = 1 + max(size, -size)%100
		got := readCopy(t, pipeline.Template{{Name: "display_name"}, {Constant: "\t"}, {Constant: copyEscapes.Replace(text)}},
			pipeline.Values{DisplayName: text}, max(size, 1))
		fields := strings.Split(got, "\t")
		if len(fields) != 2 || strings.ContainsAny(got, "\n\r") {
			t.Fatalf("%q becomes %q", text, got)
		}
		for _, field := range fields {
			if field == `\N` || field == `\.` || unescape(field) != text {
				t.Fatalf("%q becomes %q", text, got)
			}
		}
	})
}
