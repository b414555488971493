package pgscript

import (
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// The deepest statement of each shape that is let through leaves the parser as it was.
func TestDeepestStatements(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ begin, each, middle, end string }{
		"operators":   {"SELECT 1", "+1", "", ""},
		"signs":       {"SELECT ", "- ", "1", ""},
		"strings":     {"SELECT 'a'", " || 'b'", "", ""},
		"negations":   {"SELECT ", "NOT ", "a", ""},
		"casts":       {"SELECT 1", "::int", "", ""},
		"collations":  {"SELECT a", " COLLATE b", "", ""},
		"zones":       {"SELECT a", " AT TIME ZONE b", "", ""},
		"calls":       {"SELECT ", "f(", "1", ")"},
		"arrays":      {"SELECT ", "ARRAY[", "1", "]"},
		"rows":        {"SELECT ", "ROW(", "1", ")"},
		"cases":       {"SELECT ", "CASE WHEN a THEN ", "1", " END"},
		"else":        {"SELECT ", "CASE WHEN a THEN 1 ELSE ", "1", " END"},
		"lists":       {"SELECT ", "1 IN (", "1", ")"},
		"conditions":  {"SELECT ", "a AND (b OR (", "c", "))"},
		"subselects":  {"SELECT ", "(SELECT ", "1", ")"},
		"in from":     {"SELECT * FROM ", "(SELECT * FROM ", "t", ") x"},
		"exists":      {"SELECT 1 WHERE ", "EXISTS (SELECT 1 WHERE ", "true", ")"},
		"with":        {"", "WITH a AS (", "SELECT 1", ") SELECT 1"},
		"joins":       {"SELECT * FROM a", " JOIN b ON true", "", ""},
		"unions":      {"SELECT 1", " UNION SELECT 1", "", ""},
		"defaults":    {"CREATE TABLE a (b int DEFAULT ", "f(1, ", "1", ")"},
		"expressions": {"CREATE TABLE a (b int CHECK (1 > 0", " + 1", "", ""},
	} {
		shape := func(n int) string {
			text := c.begin + strings.Repeat(c.each, n) + c.middle + strings.Repeat(c.end, n)
			return text + strings.Repeat(")", strings.Count(text, "(")-strings.Count(text, ")"))
		}
		n := 1
		for n < 2*maxDepth && depth(shape(n+1)) <= maxDepth {
			n++
		}
		if n == 2*maxDepth {
			t.Errorf("%s: any depth is let through", name)
			continue
		}
		if _, err := parseSQL(shape(n)); err != nil {
			t.Errorf("%s: %d times: %v", name, n, err)
		}
		if _, err := parseSQL(shape(n + 1)); err != errTooDeep { //nolint:errorlint // a sentinel
			t.Errorf("%s: %d times: %v", name, n+1, err)
		}
		body := "DO $$ BEGIN PERFORM (" + shape(n) + "); END $$"
		if _, err := parsePLpgSQL(body); err != nil && strings.HasPrefix(c.begin, "SELECT") {
			t.Errorf("%s in a body: %v", name, err)
		}
		if trees, err := parseSQL("SELECT 1"); err != nil || len(trees) != 1 {
			t.Fatalf("%s: the parser is damaged: %v", name, err)
		}
	}
}

func TestDeepestBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ begin, end string }{
		{"BEGIN ", " END;"},
		{"IF true THEN ", " END IF;"},
		{"LOOP ", " END LOOP;"},
		{"CASE WHEN true THEN ", " END CASE;"},
		{"IF true THEN DROP TABLE IF EXISTS a; LOOP ", " END LOOP; END IF;"},
	} {
		body := func(n int) string {
			return "BEGIN " + strings.Repeat(c.begin, n) + "NULL;" + strings.Repeat(c.end, n) + " END"
		}
		n := 1
		for n < maxBlocks && blocks(body(n+1)) <= maxBlocks {
			n++
		}
		if _, err := parsePLpgSQL("DO $$ " + body(n) + " $$"); err != nil || n == maxBlocks {
			t.Errorf("%s: %d times: %v", c.begin, n, err)
		}
		j := &judge{place: place{text: "DO $$ " + body(n+1) + " $$", line: 1}, faults: &faults{}}
		if j.script(); len(*j.faults) != 1 || (*j.faults)[0].what != errTooDeep.Error() {
			t.Errorf("%s: %d times: %v", c.begin, n+1, *j.faults)
		}
	}
}

// A parser that has failed in another way than by an error of the grammar is not used again.
func TestDamagedParserIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	l := library{tested: true}
	calls := 0
	fails := func(string) (string, error) { calls++; panic("out of bounds memory access") }
	for range 2 {
		_, err := l.call(fails, "SELECT 1")
		testkit.Contains(t, "error", fmt.Sprint(err), "the parser of PostgreSQL's grammar failed: out of bounds memory access")
	}
	if calls != 1 {
		t.Errorf("it is used %d times", calls)
	}
}
