package sqlite

import (
	"slices"
	"strings"
	"testing"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Statements are split where SQLite ends them, and each has the line at which it begins.
func TestSplitScript(t *testing.T) {
	t.Parallel()
	trigger := "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  SELECT CASE WHEN 1 THEN 2 END;\n  UPDATE a SET b = ';END;';\nEND;"
	for name, c := range map[string]struct {
		text string
		want []statement
	}{
		"empty":               {"", nil},
		"only comments":       {"-- a;\n/* b; */\n;;", nil},
		"two on one line":     {"SELECT 1; SELECT 2;", []statement{{1, "SELECT 1;"}, {1, "SELECT 2;"}}},
		"without a semicolon": {"SELECT 1;\nSELECT 2", []statement{{1, "SELECT 1;"}, {2, "SELECT 2"}}},
		"after comments": {
			"-- one; two\n/* three;\nfour */ SELECT\n 1;\n\nSELECT 2;", []statement{{3, "SELECT\n 1;"}, {6, "SELECT 2;"}},
		},
		"CRLF": {"SELECT 1;\r\n-- x\r\nSELECT\r\n2;\r\n", []statement{{1, "SELECT 1;"}, {3, "SELECT\r\n2;"}}},
		"texts with semicolons": {
			"SELECT 'a;\n''b;', \"c;\", `d;`, [e;];\nSELECT 2;",
			[]statement{{1, "SELECT 'a;\n''b;', \"c;\", `d;`, [e;];"}, {3, "SELECT 2;"}},
		},
		"trigger":              {trigger + "\nSELECT 1;", []statement{{1, trigger}, {5, "SELECT 1;"}}},
		"temporary trigger":    {"CREATE TEMP TRIGGER x BEGIN SELECT 1; END;", []statement{{1, "CREATE TEMP TRIGGER x BEGIN SELECT 1; END;"}}},
		"table named trigger":  {"CREATE TABLE trigger_end (a); SELECT 1", []statement{{1, "CREATE TABLE trigger_end (a);"}, {1, "SELECT 1"}}},
		"trigger without END":  {"CREATE TRIGGER x BEGIN SELECT 1;\nSELECT 2;", []statement{{1, "CREATE TRIGGER x BEGIN SELECT 1;\nSELECT 2;"}}},
		"text without its end": {"SELECT 1;\nSELECT 'a;\nb", []statement{{1, "SELECT 1;"}, {2, "SELECT 'a;\nb"}}},
	} {
		if got := splitScript(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"SELECT provisioner('plan')":              true,
		"SELECT Provisioner /* ( */ -- (\n ('a')": true,
		`SELECT "provisioner"('plan')`:            true,
		"SELECT [PROVISIONER]('plan')":            true,
		"SELECT `provisioner`('plan')":            true,
		"SELECT 'provisioner(', x(1)":             false,
		"SELECT 1 -- provisioner('plan')":         false,
		"SELECT provisioner, (1)":                 false,
		"SELECT my_provisioner('plan')":           false,
		"":                                        false,
	} {
		if got := calls(text, "provisioner"); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// splitScript ends each statement where sqlite3_complete first reports a complete one.
func FuzzSplitScript(f *testing.F) {
	for _, text := range []string{
		"SELECT 1;", "CREATE TRIGGER x BEGIN SELECT 1; END;", "EXPLAIN QUERY PLAN CREATE TEMP TRIGGER x BEGIN; ; END; SELECT",
		"explain EXPLAIN CREATE TRIGGER a; b; END", "CREATE temp TEMP TRIGGER x; END ; END;", "create/**/trigger;end;",
		"create CREATE TRIGGER x;", "'a''b;';", "[a;];", "\"a;\";", "-- x;\n;", "/* ; */;", "/ ; - ;", "CREATE TRIGGER a;END b;END;",
		"é; $1; 1a;", "explain create trigger; ;;; end ;", "x'00;'; /* ",
		"EXPLAIN 1.CREATE TRIGGER a;;END;", "EXPLAIN 1e+CREATE TRIGGER a;;END;", "CREATE 1.5TRIGGER a; END;", "EXPLAIN 0x1.CREATE TRIGGER a;;END;",
		"EXPLAIN 1..CREATE TRIGGER a;;END;", "EXPLAIN x'' CREATE TRIGGER a;;END;", "EXPLAIN 'a''b'CREATE TRIGGER a;;END;",
	} {
		f.Add(text)
	}
	tls := libc.NewTLS()
	f.Cleanup(tls.Close)
	isComplete := func(text string) bool {
		p, err := libc.CString(text)
		if err != nil {
			f.Fatal(err)
		}
		defer libc.Xfree(tls, p)
		return sqlite3.Xsqlite3_complete(tls, p) == 1
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x00") || len(text) > 200 {
			t.Skip("SQLite reads up to the NUL; what is longer takes long")
		}
		var want []string // without blanks before them
		add := func(part string) {
			for part != "" {
				kind, length := nextToken(part)
				if kind != blank {
					break
				}
				part = part[length:]
			}
			if part != "" && part != ";" {
				want = append(want, part)
			}
		}
		begin := 0
		for i := range len(text) {
			if text[i] == ';' && isComplete(text[begin:i+1]) {
				add(text[begin : i+1])
				begin = i + 1
			}
		}
		add(text[begin:])
		if got := texts(splitScript(text)); !slices.Equal(got, want) {
			t.Fatalf("%q is %q, SQLite has %q", text, got, want)
		}
	})
}

func texts(statements []statement) (all []string) {
	for _, s := range statements {
		all = append(all, s.text)
	}
	return all
}
