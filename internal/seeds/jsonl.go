package seeds

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// jsonLines reads a JSON object from each line: https://jsonlines.org. Blank lines are passed over.
func (r *reader) jsonLines(name, text string) (rows []pipeline.SeedRow) {
	line := 0
	for one := range strings.Lines(text) {
		line++
		if one = strings.Trim(one, " \t\r\n"); one == "" {
			continue
		}
		row, err := jsonRow(one)
		if err != nil {
			r.fault(name, line, "%v", err)
			continue
		}
		row.Line = line
		rows = append(rows, row)
	}
	return rows
}

// jsonRow reads a JSON object whose keys are columns.
func jsonRow(text string) (row pipeline.SeedRow, err error) {
	if !strings.HasPrefix(text, "{") {
		return row, fmt.Errorf(`is not a JSON object: %s; write {"column": value} on one line`, events.Quote(text))
	}
	if _, err := pipeline.JSONTemplate(text); err != nil { // checks the whole line
		return row, err
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return row, err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return row, err
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return row, err
		}
		value := pipeline.SeedValue{Kind: pipeline.SeedJSON, Raw: string(raw)}
		if value.Raw == "null" {
			value = pipeline.SeedValue{}
		}
		row.Columns = append(row.Columns, fmt.Sprint(key))
		row.Values = append(row.Values, value)
	}
	return row, checkColumns(row.Columns)
}

// checkColumns fails if a row does not name its columns, each once.
func checkColumns(columns []string) error {
	if len(columns) == 0 {
		return errors.New("names no columns; write at least one")
	}
	seen := map[string]string{}
	for _, name := range columns {
		if name == "" {
			return errors.New("has a column without a name; write one")
		}
		folded := strings.ToLower(name)
		if other, twice := seen[folded]; twice {
			return fmt.Errorf("has the column %s twice, as %s too; remove one", events.Quote(name), events.Quote(other))
		}
		seen[folded] = name
	}
	return nil
}
