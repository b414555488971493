package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
)

const (
	maxImportBytes  = 64 << 20
	maxImportFaults = 50 // that are reported: a file of another format has one in each line
)

// importColumns are the fields of a line of consumer request --file.
var importColumns = []string{"tenant_id", "display_name", "created_by", "plan", "isolation_strategy", "id"}

// importLine is one request of a file.
type importLine struct {
	line  int
	event event.Event
	data  events.Requested
}

// importFile reads requests, and collects the faults of all lines.
type importFile struct {
	name     string
	flags    requestFlags // source, and what a line does not set
	requests []importLine
	faults   []error
	count    int            // of all faults
	tenants  map[string]int // by the id in lower case: the line
	ids      map[string]int
}

// readImport reads a file of requests: JSON Lines, or CSV with a header. - is standard input. Its error names each
// fault with its line.
func readImport(name string, stdin io.Reader, f requestFlags) ([]importLine, error) {
	content, err := readImportBytes(name, stdin)
	if err != nil {
		return nil, err
	}
	r := &importFile{name: name, flags: f, tenants: map[string]int{}, ids: map[string]int{}}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	switch {
	case !utf8.Valid(content):
		return nil, fmt.Errorf("%s is not UTF-8; save it as UTF-8", name)
	case bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")):
		r.jsonLines(string(content))
	default:
		r.csv(content)
	}
	if r.count > maxImportFaults {
		r.faults = append(r.faults, fmt.Errorf("%s: further faults: %d", name, r.count-maxImportFaults))
	}
	if len(r.requests) == 0 && r.count == 0 {
		r.faults = append(r.faults, fmt.Errorf("%s has no requests", name))
	}
	return r.requests, errors.Join(r.faults...)
}

func readImportBytes(name string, stdin io.Reader) (content []byte, err error) {
	from := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close() //nolint:errcheck // it was only read
		from = file
	}
	content, err = io.ReadAll(io.LimitReader(from, maxImportBytes+1))
	if err == nil && len(content) > maxImportBytes {
		err = fmt.Errorf("%s is larger than 64 MiB; split it", name)
	}
	return content, err
}

func (r *importFile) fault(line int, format string, args ...any) {
	if r.count++; r.count <= maxImportFaults {
		r.faults = append(r.faults, fmt.Errorf("%s:%d: %s", r.name, line, fmt.Sprintf(format, args...)))
	}
}

func (r *importFile) jsonLines(text string) {
	line := 0
	for one := range strings.Lines(text) {
		line++
		if strings.TrimSpace(one) == "" {
			continue
		}
		var values map[string]*string
		if err := json.Unmarshal([]byte(one), &values); err != nil {
			r.fault(line, "is not a JSON object of strings on one line: %v", err)
			continue
		}
		fields := map[string]string{}
		for name, value := range values {
			if value != nil {
				fields[name] = *value
			}
		}
		r.add(line, fields)
	}
}

func (r *importFile) csv(content []byte) {
	records := csv.NewReader(bytes.NewReader(content))
	var columns []string
	for {
		record, err := records.Read()
		var broken *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &broken):
			r.fault(broken.Line, "%v", broken.Err)
			if !errors.Is(err, csv.ErrFieldCount) {
				return // where the next record begins is not known
			}
			continue
		case err != nil:
			r.fault(0, "%v", err)
			return
		}
		line, _ := records.FieldPos(0)
		if columns == nil {
			columns = record
			if !slices.Contains(columns, "tenant_id") {
				r.fault(line, "the header has no tenant_id; begin the file with the names of its columns: %s",
					strings.Join(importColumns, ","))
				return
			}
			continue
		}
		fields := map[string]string{}
		for i, name := range columns {
			if record[i] != "" {
				fields[name] = record[i]
			}
		}
		r.add(line, fields)
	}
}

// add checks a request and adds it.
func (r *importFile) add(line int, fields map[string]string) {
	for name := range fields {
		if !slices.Contains(importColumns, name) {
			r.fault(line, "the field %s is unknown; write %s", events.Quote(name), strings.Join(importColumns, ", "))
			return
		}
	}
	data := events.Requested{
		TenantID: fields["tenant_id"], DisplayName: fields["display_name"],
		CreatedBy: cmp.Or(fields["created_by"], r.flags.createdBy), Plan: cmp.Or(fields["plan"], r.flags.plan),
		IsolationStrategy: cmp.Or(fields["isolation_strategy"], r.flags.strategy),
	}
	// The same line is the same request in every run.
	e, err := requestEvent(r.flags.source, cmp.Or(fields["id"], "import-"+data.TenantID), data)
	if invalid := data.Validate(); invalid != nil {
		err = invalid
	}
	if err != nil {
		r.fault(line, "%v", err)
		return
	}
	folded := strings.ToLower(data.TenantID)
	if first, twice := r.tenants[folded]; twice {
		r.fault(line, "the tenant %s is in line %d already", events.Quote(data.TenantID), first)
		return
	}
	if first, twice := r.ids[e.ID()]; twice {
		r.fault(line, "the id %s is in line %d already", events.Quote(e.ID()), first)
		return
	}
	r.tenants[folded], r.ids[e.ID()] = line, line
	r.requests = append(r.requests, importLine{line, e, data})
}
