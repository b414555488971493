package seeds

import (
	stdcsv "encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// directory writes files, and returns their directory.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		testkit.Must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// readAll is Read with all faults as one.
func readAll(dir string) (*pipeline.Seeds, error) {
	got, faults := Read(dir)
	return got, errors.Join(faults...)
}

func TestFilesAreRead(t *testing.T) {
	t.Parallel()
	got, err := readAll(directory(t, map[string]string{
		"b.jsonl": "\ufeff{\"id\": \"${uuid:a}\", \"big\": 12345678901234567890.10, \"o\": {\"k\": [1, null]}}\r\n\n  \t\n" +
			"{\"id\": null, \"on\": true}",
		"a.csv":   "\ufeffid,\"na\"\"me\"\r\n1,\r\n,\"\"\r\n\"a,\"\"\r\nb\", x \r\n${now},NULL",
		".hidden": "x", "..data": "x", ".a.csv.swp": "x",
	}))
	testkit.Must(t, err)
	text := func(s string) pipeline.SeedValue { return pipeline.SeedValue{Kind: pipeline.SeedText, Raw: s} }
	js := func(s string) pipeline.SeedValue { return pipeline.SeedValue{Kind: pipeline.SeedJSON, Raw: s} }
	null := pipeline.SeedValue{}
	columns := []string{"id", `na"me`}
	row := func(line int, columns []string, values ...pipeline.SeedValue) pipeline.SeedRow {
		return pipeline.SeedRow{Line: line, Columns: columns, Values: values}
	}
	want := &pipeline.Seeds{Files: []pipeline.SeedFile{
		{Name: "a.csv", Table: "a", Rows: []pipeline.SeedRow{
			row(2, columns, text("1"), null), row(3, columns, null, text("")), row(4, columns, text("a,\"\r\nb"), text(" x ")),
			row(6, columns, text("${now}"), text("NULL")),
		}},
		{Name: "b.jsonl", Table: "b", Rows: []pipeline.SeedRow{
			row(1, []string{"id", "big", "o"}, js(`"${uuid:a}"`), js("12345678901234567890.10"), js(`{"k": [1, null]}`)),
			row(4, []string{"id", "on"}, null, js("true")),
		}},
	}}
	want.Files[0].SHA256, want.Files[1].SHA256 = got.Files[0].SHA256, got.Files[1].SHA256
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	testkit.Equal(t, "fingerprints", len(got.Files[0].SHA256)+len(got.Fingerprint()), 128)
}

// Each fault names the file and line, and what to write.
func TestFaultsOfTheFiles(t *testing.T) {
	t.Parallel()
	const row = "{\"a\": 1}\n"
	for name, c := range map[string]struct{ file, text, want string }{
		"a README":                {"README.md", "x", "README.md: is not seed data; name files TABLE.jsonl or TABLE.csv, and move all others away"},
		"an editor's backup":      {"t.csv~", "a\n1\n", "t.csv~: is not seed data"},
		"upper case":              {"t.CSV", "a\n1\n", "t.CSV: is not seed data"},
		"JSON":                    {"t.json", "[]", "t.json: is not seed data"},
		"compressed":              {"t.csv.gz", "x", "t.csv.gz: is not seed data"},
		"empty JSON Lines":        {"t.jsonl", "", "t.jsonl: has no rows; write one, or remove the file"},
		"blank lines":             {"t.jsonl", "\n \r\n", "t.jsonl: has no rows"},
		"empty CSV":               {"t.csv", "", "t.csv: has no rows"},
		"a header only":           {"t.csv", "a,b\n", "t.csv: has no rows"},
		"not UTF-8":               {"t.jsonl", row + "{\"a\": \"\xff\"}\n", "t.jsonl:2: is not UTF-8; save the file as UTF-8"},
		"UTF-16":                  {"t.csv", "\xff\xfea\x00\n\x00", "t.csv:1: is not UTF-8"},
		"UTF-16 without mark":     {"t.csv", "a\x00\n\x001\x00\n\x00", "t.csv:1: holds a NUL"},
		"NUL":                     {"t.csv", "a\nb\x00\n", "t.csv:2: holds a NUL, which no text column can store"},
		"escaped NUL":             {"t.jsonl", row + `{"a": "\u0000"}`, "t.jsonl:2: holds a NUL"},
		"half a pair":             {"t.jsonl", `{"a": "\ud800"}`, "t.jsonl:1: has half of a surrogate pair"},
		"an array":                {"t.jsonl", "[1]\n", `t.jsonl:1: is not a JSON object: "[1]"; write {"column": value} on one line`},
		"a text":                  {"t.jsonl", row + "\"a\"\n", "t.jsonl:2: is not a JSON object"},
		"pretty printed":          {"t.jsonl", "{\n\"a\": 1\n}\n", "t.jsonl:1: is not JSON: unexpected end of JSON input (byte 1)"},
		"trailing garbage":        {"t.jsonl", "{\"a\": 1},\n", "t.jsonl:1: is not JSON: invalid character ',' after top-level value (byte 9)"},
		"two objects":             {"t.jsonl", "{\"a\": 1} {\"a\": 2}\n", "t.jsonl:1: is not JSON"},
		"a key twice":             {"t.jsonl", `{"a": 1, "b": 2, "a": 3}`, `t.jsonl:1: has the key "a" twice; remove one`},
		"a nested key twice":      {"t.jsonl", `{"a": [{"k": 1, "k": 1}]}`, `t.jsonl:1: has the key "k" twice`},
		"a column in two cases":   {"t.jsonl", `{"a": 1, "A": 2}`, `t.jsonl:1: has the column "A" twice, as "a" too; remove one`},
		"no columns":              {"t.jsonl", row + "{}\n", "t.jsonl:2: names no columns; write at least one"},
		"a column without a name": {"t.jsonl", `{"": 1}`, "t.jsonl:1: has a column without a name"},
		"an unknown placeholder":  {"t.jsonl", row + `{"a": {"b": ["${tenant}"]}}`, `t.jsonl:2: has the unknown placeholder "${tenant}"; write ${tenant_id}, `},
		"a placeholder in a key":  {"t.jsonl", `{"${tenant_id}": 1}`, "t.jsonl:1: has the key \"${tenant_id}\"; placeholders are replaced in values, not in keys"},
		"NaN":                     {"t.jsonl", `{"a": NaN}`, "t.jsonl:1: is not JSON"},
		"unknown in CSV":          {"t.csv", "a,b\n1,\"x\n${uuid}\"\n", `t.csv:2: column b has the placeholder "${uuid}"; write ${uuid:LABEL}`},
		"a column of CSV twice":   {"t.csv", "a,b,A\n1,2,3\n", `t.csv:1: the header has the column "A" twice`},
		"CSV without a name":      {"t.csv", "a,,c\n1,2,3\n", "t.csv:1: the header has a column without a name"},
		"a short record":          {"t.csv", "a,b\n1\n", "t.csv:2: has 1 fields, the header has 2; write one for each column"},
		"a long record":           {"t.csv", "a,b\n\"1\n2\",3\n1,2,3\n", "t.csv:4: has 3 fields, the header has 2"},
		"an empty line":           {"t.csv", "a\n1\n\n2\n", `t.csv:3: is empty; remove it, or write "" for an empty text`},
		"an empty last line":      {"t.csv", "a,b\r\n1,2\r\n\r\n", "t.csv:3: is empty"},
		"a quote within":          {"t.csv", "a\nb\"c\n", "t.csv:2: has a quotation mark within a field that does not begin with one"},
		"text after a quote":      {"t.csv", "a,b\n\"1\"x,2\n", "t.csv:2: has text after a closing quotation mark"},
		"a blank after a quote":   {"t.csv", "a,b\n\"1\" ,2\n", "t.csv:2: has text after a closing quotation mark"},
		"an open quote":           {"t.csv", "a,b\n1,2\n\"3,4\n5,6\n", "t.csv:3: has a field whose quotation mark is not closed; close it"},
		"a carriage return":       {"t.csv", "a,b\n1\r,2\n", "t.csv:2: has a carriage return within a field"},
		"old line ends":           {"t.csv", "a,b\r1,2\r", "t.csv:1: has a carriage return within a field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := directory(t, map[string]string{c.file: c.text})
			_, err := readAll(dir)
			if err == nil || !strings.HasPrefix(err.Error(), dir+"/"+c.want) {
				t.Errorf("%v\nwant %s/%s", err, dir, c.want)
			}
		})
	}
}

// What spreadsheets and editors of other countries and systems write is read as it is meant, or refused with what to do.
func TestCSVOfSpreadsheets(t *testing.T) {
	t.Parallel()
	const read = "" // as two rows: 1, "a" and 2, null
	for name, c := range map[string]struct{ text, want string }{
		"RFC 4180":                       {"id,name\r\n1,a\r\n2,\r\n", read},
		"CSV UTF-8 of Excel":             {"\ufeffid,name\r\n1,a\r\n2,\r\n", read},
		"LF, no line break at the end":   {"id,name\n1,a\n2,", read},
		"all quoted":                     {"\"id\",\"name\"\n\"1\",\"a\"\n\"2\",\n", read},
		"semicolons":                     {"id;name\r\n1;a\r\n2;\r\n", ":1: the header is separated by semicolons; save the file with commas between the fields"},
		"semicolons, a byte order mark":  {"\ufeffid;name\r\n1;a\r\n", ":1: the header is separated by semicolons"},
		"semicolons, all quoted":         {"\"id\";\"name\"\n\"1\";\"a\"\n", ":1: the header is separated by semicolons"},
		"semicolons, quoted with commas": {"\"id\";\"name, first\"\n\"1\";\"a\"\n", ":1: the header is separated by semicolons"},
		"semicolons, decimal commas":     {"id;price\n1;2,5\n", ":1: the header is separated by semicolons"},
		"tabs":                           {"id\tname\n1\ta\n", ":1: the header is separated by tabs; save the file with commas"},
		"vertical bars":                  {"id|name\n1|a\n", ":1: the header is separated by vertical bars"},
		"semicolons in rows only":        {"id,name\n1;a\n", ":2: has 1 fields, the header has 2"},
		"a line for Excel":               {"sep=;\nid;name\n1;a\n", `:1: is "sep=;", which only spreadsheets read; remove it, and separate the fields by commas`},
		"a line for Excel, commas":       {"SEP=,\r\nid,name\r\n1,a\r\n", `:1: is "SEP=,", which only spreadsheets read`},
		"blanks in the header":           {"id, name\n1,a\n", `:1: the header has blanks around the column " name", which belong to the name; remove them`},
		"a blank before the line break":  {"id,name \r\n1,a\r\n", `:1: the header has blanks around the column "name "`},
		"a column in two cases":          {"id,name,ID\n1,a,2\n", `:1: the header has the column "ID" twice, as "id" too; remove one`},
		"empty columns":                  {"id,name,,\n1,a,,\n", ":1: the header has a column without a name; write one"},
		"UTF-16 of Excel":                {"\xff\xfei\x00d\x00\t\x00n\x00\n\x00", ":1: is not UTF-8; save the file as UTF-8"},
		"UTF-16, big-endian":             {"\xfe\xff\x00i\x00d\x00\n", ":1: is not UTF-8"},
		"Windows-1252":                   {"id,name\n1,Caf\xe9\n", ":2: is not UTF-8; save the file as UTF-8"},
		"Windows-1252 in the header":     {"id,Stra\xdfe\n1,a\n", ":1: is not UTF-8"},
		"lines of an old Mac":            {"id,name\r1,a\r", ":1: has a carriage return within a field; put the field in quotation marks, and end lines with LF or CRLF"},
		"a quotation mark in a field":    {"id,name\n1,6\" pipe\n", ":2: has a quotation mark within a field that does not begin with one; put the whole field in quotation marks"},
		"a backslash as an escape":       {"id,name\n1,\"a\\\"b\"\n", ":2: has text after a closing quotation mark"},
		"empty":                          {"", ": has no rows; write one, or remove the file"},
		"a byte order mark only":         {"\ufeff", ": has no rows"},
		"a header only":                  {"id,name\r\n", ": has no rows"},
		"an empty first line":            {"\r\nid,name\n1,a\n", ":1: the header has a column without a name"},
		"an empty line at the end":       {"id,name\n1,a\n\n", `:3: is empty; remove it, or write "" for an empty text`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := directory(t, map[string]string{"t.csv": c.text})
			got, err := readAll(dir)
			switch {
			case c.want != read && (err == nil || !strings.HasPrefix(err.Error(), dir+"/t.csv"+c.want)):
				t.Errorf("%v\nwant %s", err, c.want)
			case c.want == read:
				testkit.Must(t, err)
				text := func(s string) pipeline.SeedValue { return pipeline.SeedValue{Kind: pipeline.SeedText, Raw: s} }
				columns := []string{"id", "name"}
				want := []pipeline.SeedRow{
					{Line: 2, Columns: columns, Values: []pipeline.SeedValue{text("1"), text("a")}},
					{Line: 3, Columns: columns, Values: []pipeline.SeedValue{text("2"), {}}},
				}
				if diff := cmp.Diff(want, got.Files[0].Rows); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

// All faults are reported at once, in the order of files and lines, up to a limit.
func TestAllFaultsOfTheFiles(t *testing.T) {
	t.Parallel()
	dir := directory(t, map[string]string{
		"a.jsonl": "[]\n{\"a\": \"${x}\"}\n", "b.csv": "a\n\n${y}\n", "c.txt": "", "b.jsonl": "{\"a\": 1}\n", "B.csv": "a\n1\n",
	})
	_, err := readAll(dir)
	want := []string{
		"a.jsonl:1: is not a JSON object", "a.jsonl:2: has the unknown placeholder", "b.csv: is for the same table as B.csv; write all rows of",
		"b.csv:2: is empty", "b.csv:3: column a has the unknown placeholder", "b.jsonl: is for the same table as B.csv", "c.txt: is not seed data",
	}
	lines := strings.Split(fmt.Sprint(err), "\n")
	for i, line := range lines {
		if i >= len(want) || !strings.HasPrefix(line, dir+"/"+want[i]) {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
	testkit.Equal(t, "faults", len(lines), len(want))

	dir = directory(t, map[string]string{"a.jsonl": strings.Repeat("[]\n", maxFaults+3)})
	_, err = readAll(dir)
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != maxFaults+1 || lines[maxFaults] != dir+": further faults: 3" {
		t.Errorf("%d lines, the last %s", len(lines), lines[len(lines)-1])
	}
}

func TestFaultsOfTheDirectory(t *testing.T) {
	t.Parallel()
	const row = "{\"a\": 1}\n"
	outside := directory(t, map[string]string{"t.jsonl": row})
	for name, c := range map[string]struct {
		prepare func(dir string) error
		want    string // of a file in it
	}{
		"empty":             {func(string) error { return nil }, " has no files; write rows to TABLE.jsonl or TABLE.csv"},
		"hidden only":       {func(dir string) error { return os.WriteFile(dir+"/.t.csv", nil, 0o600) }, " has no files"},
		"a directory":       {func(dir string) error { return os.Mkdir(dir+"/t.csv", 0o700) }, "/t.csv: is not a regular file; replace it by one"},
		"another directory": {func(dir string) error { return os.Mkdir(dir+"/old", 0o700) }, "/old: is not seed data"},
		"a pipe":            {func(dir string) error { return syscall.Mkfifo(dir+"/t.csv", 0o600) }, "/t.csv: is not a regular file"},
		"a link that leaves": {
			func(dir string) error { return os.Symlink(outside+"/t.jsonl", dir+"/t.jsonl") },
			"/t.jsonl: is a link that leads to no file of the directory (path escapes from parent); replace it by the file",
		},
		"a relative link that leaves": {
			func(dir string) error { return os.Symlink("../"+filepath.Base(outside)+"/t.jsonl", dir+"/t.jsonl") },
			"/t.jsonl: is a link that leads to no file of the directory",
		},
		"a link to nothing": {
			func(dir string) error { return os.Symlink("other", dir+"/t.jsonl") },
			"/t.jsonl: is a link that leads to no file of the directory (no such file or directory)",
		},
		"a link to a device": {func(dir string) error { return os.Symlink("/dev/zero", dir+"/t.csv") }, "/t.csv: is a link that"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			testkit.Must(t, c.prepare(dir))
			if _, err := readAll(dir); err == nil || !strings.HasPrefix(err.Error(), dir+c.want) {
				t.Errorf("%v\nwant %s%s", err, dir, c.want)
			}
		})
	}
	file := outside + "/t.jsonl"
	for path, want := range map[string]string{
		outside + "/missing": "no such file or directory; write the path of a directory that this user may read",
		file:                 file + " is not a directory; write the path of a directory",
		"":                   "no such file or directory",
	} {
		if _, err := readAll(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", path, err, want)
		}
	}
}

// Files and directories without the right to read them are named. Root may read everything.
func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := directory(t, map[string]string{"t.csv": "a\n1\n"})
	testkit.Must(t, os.Chmod(dir+"/t.csv", 0))
	if _, err := readAll(dir); err == nil || err.Error() != dir+"/t.csv: permission denied; let this user read it" {
		t.Error(err)
	}
	testkit.Must(t, os.Chmod(dir, 0))
	if _, err := readAll(dir); err == nil || !strings.Contains(err.Error(), "permission denied; write the path of a directory") {
		t.Error(err)
	}
}

// Kubernetes mounts a ConfigMap as links to a hidden directory.
func TestLinksWithinTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.Must(t, os.Mkdir(dir+"/..2026", 0o700))
	testkit.Must(t, os.WriteFile(dir+"/..2026/t.csv", []byte("a\n1\n"), 0o600))
	testkit.Must(t, os.Symlink("..2026", dir+"/..data"))
	testkit.Must(t, os.Symlink("..data/t.csv", dir+"/t.csv"))
	link := t.TempDir() + "/link"
	testkit.Must(t, os.Symlink(dir, link))
	for _, path := range []string{dir, link, dir + "/"} {
		got, err := readAll(path)
		testkit.Must(t, err)
		testkit.Equal(t, "rows", got.Counts()["t"], 1)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	rows := func(n int) string { return strings.Repeat("{\"a\": 1}\n", n) }
	_, err := readAll(directory(t, map[string]string{"a.jsonl": rows(MaxRows - 1), "b.jsonl": rows(1)}))
	testkit.Must(t, err)
	_, err = readAll(directory(t, map[string]string{"a.jsonl": rows(MaxRows - 1), "b.jsonl": rows(2), "c.jsonl": rows(1)}))
	if err == nil || !strings.Contains(err.Error(), "b.jsonl: all files together have more than 10000 rows; load large data after") ||
		strings.Count(err.Error(), "\n") != 0 {
		t.Error(err)
	}
	const small = "a\n1\n"
	large := "a\n" + strings.Repeat("x", MaxBytes-2-len(small))
	_, err = readAll(directory(t, map[string]string{"a.csv": large, "b.csv": small}))
	testkit.Must(t, err)
	_, err = readAll(directory(t, map[string]string{"a.csv": large, "b.csv": small, "c.csv": small, "d.csv": "\""}))
	if err == nil || !strings.Contains(err.Error(), "c.csv: all files together are larger than 16 MiB; load") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// readCSV reads all records of a text.
func readCSV(text string) (records [][]csvField, lines []int, err error) {
	r := &csvReader{text: text, line: 1}
	for !r.done() {
		lines = append(lines, r.line)
		record, err := r.next()
		if err != nil {
			return nil, nil, err
		}
		records = append(records, record)
	}
	return records, lines, nil
}

// The reader agrees with the standard library's, except for what that does not distinguish.
func FuzzCSV(f *testing.F) {
	for _, text := range []string{
		"a,b\n1,2\n", "a\r\n\"b\"\r\n", "\"a\"\"b\",\n", "\"a\nb\"", "a\"b", "\"a\"b", "\"", ",", "\n", "\r", "a\r", "\"a\"\r", "a\rb", "\"a\r\nb\"", "\r\n\r\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, lines, err := readCSV(text)
		standard := stdcsv.NewReader(strings.NewReader(text))
		standard.FieldsPerRecord = -1
		var want [][]string
		var wantLines []int
		var wantErr error
		for {
			record, err := standard.Read()
			if err != nil {
				if err.Error() != "EOF" {
					wantErr = err
				}
				break
			}
			line, _ := standard.FieldPos(0)
			want, wantLines = append(want, record), append(wantLines, line)
		}
		if err != nil {
			// A carriage return within a line is refused here, and the standard library skips a line that has only one.
			if wantErr == nil && !strings.Contains(text, "\r") {
				t.Fatalf("%q: %v, the standard library reads %q", text, err, want)
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("%q: %v, the standard library: %v", text, got, wantErr)
		}
		n := 0
		for i, record := range got {
			if len(record) == 1 && record[0] == (csvField{}) {
				continue // an empty line
			}
			var fields []string
			for _, field := range record {
				fields = append(fields, strings.ReplaceAll(field.text, "\r\n", "\n"))
			}
			if n >= len(want) || cmp.Diff(want[n], fields) != "" || wantLines[n] != lines[i] {
				t.Fatalf("%q: record %d is %q in line %d, want %q %v", text, i, fields, lines[i], want, wantLines)
			}
			n++
		}
		testkit.Equal(t, "records", n, len(want))
	})
}
