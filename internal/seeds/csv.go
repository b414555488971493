package seeds

import (
	"errors"
	"fmt"
	"strings"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// csv reads a header line with the names of the columns, and a row from each further record.
func (r *reader) csv(name, text string) (rows []pipeline.SeedRow) {
	if err := checkSeparator(text); err != nil {
		r.fault(name, 1, "%v", err)
		return nil
	}
	records := &csvReader{text: text, line: 1}
	var columns []string
	for !records.done() {
		line := records.line
		fields, err := records.next()
		if err != nil {
			r.fault(name, line, "%v", err)
			return nil // where the next record begins is not known
		}
		if columns == nil {
			if columns, err = headerColumns(fields); err != nil {
				r.fault(name, line, "the header %v", err)
				return nil
			}
			continue
		}
		row, err := csvRow(line, columns, fields)
		if err != nil {
			r.fault(name, line, "%v", err)
			continue
		}
		rows = append(rows, row)
	}
	return rows
}

// separators are those of files that are called CSV, by what a message calls them. Spreadsheets write a semicolon where
// the comma is the decimal sign.
var separators = []struct{ mark, name string }{{";", "semicolons"}, {"\t", "tabs"}, {"|", "vertical bars"}}

// checkSeparator fails if the header is not separated by commas: it has none, and another separator outside of
// quotation marks.
func checkSeparator(text string) error {
	header, _, _ := strings.Cut(text, "\n")
	if strings.HasPrefix(strings.ToLower(header), "sep=") {
		return fmt.Errorf("is %s, which only spreadsheets read; remove it, and separate the fields by commas",
			events.Quote(strings.TrimSuffix(header, "\r")))
	}
	var plain strings.Builder
	for i, part := range strings.Split(header, `"`) {
		if i%2 == 0 {
			plain.WriteString(part)
		}
	}
	for _, s := range separators {
		if strings.Contains(plain.String(), s.mark) && !strings.Contains(plain.String(), ",") {
			return fmt.Errorf("the header is separated by %s; save the file with commas between the fields", s.name)
		}
	}
	return nil
}

// headerColumns returns the columns that the header names.
func headerColumns(fields []csvField) (columns []string, err error) {
	for _, f := range fields {
		if !f.quoted && strings.TrimSpace(f.text) != f.text {
			return nil, fmt.Errorf("has blanks around the column %s, which belong to the name; remove them",
				events.Quote(f.text))
		}
		columns = append(columns, f.text)
	}
	return columns, checkColumns(columns)
}

func csvRow(line int, columns []string, fields []csvField) (row pipeline.SeedRow, err error) {
	switch {
	case len(fields) == 1 && fields[0] == csvField{}: // with one column it could also be a row with a null
		return row, errors.New(`is empty; remove it, or write "" for an empty text`)
	case len(fields) != len(columns):
		return row, fmt.Errorf("has %d fields, the header has %d; write one for each column, and a text with a comma or "+
			"a line break in quotation marks", len(fields), len(columns))
	}
	row = pipeline.SeedRow{Line: line, Columns: columns, Values: make([]pipeline.SeedValue, len(fields))}
	for i, f := range fields {
		if f == (csvField{}) {
			continue // null
		}
		row.Values[i] = pipeline.SeedValue{Kind: pipeline.SeedText, Raw: f.text}
		if _, err := pipeline.ParseTemplate(f.text); err != nil {
			return row, fmt.Errorf("column %s %w", columns[i], err)
		}
	}
	return row, nil
}

// csvReader reads records by RFC 4180, with LF too as the end of a line. The standard library's reader does not
// distinguish an empty field from a quoted empty text, passes over empty lines, and changes CRLF within a text.
type csvReader struct {
	text string
	line int // of the rest of the text, from 1
}

// csvField is a field. The zero value is an empty one without quotation marks.
type csvField struct {
	text   string
	quoted bool
}

func (c *csvReader) done() bool { return c.text == "" }

// next reads a record.
func (c *csvReader) next() (fields []csvField, err error) {
	for {
		read := c.plain
		if strings.HasPrefix(c.text, `"`) {
			read = c.quoted
		}
		field, err := read()
		if err != nil {
			return nil, err
		}
		fields = append(fields, field)
		if rest, more := strings.CutPrefix(c.text, ","); more {
			c.text = rest
			continue
		}
		c.text = strings.TrimPrefix(strings.TrimPrefix(c.text, "\r"), "\n")
		c.line++
		return fields, nil
	}
}

// plain reads a field up to the next comma or the end of the line.
func (c *csvReader) plain() (csvField, error) {
	end := strings.IndexAny(c.text, ",\n")
	if end < 0 {
		end = len(c.text)
	}
	field := c.text[:end]
	if !strings.HasPrefix(c.text[end:], ",") {
		field = strings.TrimSuffix(field, "\r")
	}
	switch {
	case strings.Contains(field, `"`):
		return csvField{}, errors.New("has a quotation mark within a field that does not begin with one; put the whole " +
			`field in quotation marks, and write "" for each within it`)
	case strings.Contains(field, "\r"):
		return csvField{}, errors.New("has a carriage return within a field; put the field in quotation marks, and end " +
			"lines with LF or CRLF")
	}
	c.text = c.text[len(field):]
	return csvField{text: field}, nil
}

// quoted reads a field in quotation marks, which may have several lines.
func (c *csvReader) quoted() (csvField, error) {
	var b strings.Builder
	rest := c.text[1:]
	for {
		text, after, closed := strings.Cut(rest, `"`)
		if !closed {
			return csvField{}, errors.New("has a field whose quotation mark is not closed; close it")
		}
		b.WriteString(text)
		if rest = after; !strings.HasPrefix(rest, `"`) {
			break
		}
		b.WriteByte('"')
		rest = rest[1:]
	}
	if rest != "" && !strings.HasPrefix(rest, ",") && !strings.HasPrefix(rest, "\n") && rest != "\r" &&
		!strings.HasPrefix(rest, "\r\n") {
		return csvField{}, errors.New("has text after a closing quotation mark; write a comma or a line break after it, " +
			`and "" for a quotation mark within a field`)
	}
	c.text = rest
	c.line += strings.Count(b.String(), "\n")
	return csvField{text: b.String(), quoted: true}, nil
}
