package sqlite

import (
	"strings"
	"testing"
)

// SQLite enforces no types, so seed data is checked as PostgreSQL would, and stored as DocEX stores it.
func TestSeedValues(t *testing.T) {
	t.Parallel()
	const digits = "6ba7b8109dad11d180b400c04fd430c8"
	for _, c := range []struct {
		declared, text string
		want           any
	}{
		{"VARCHAR(3)", "äöü", "äöü"},
		{"varchar(3)", "", ""},
		{"CHARACTER VARYING(3)", "abc", "abc"},
		{"TEXT", strings.Repeat("x", 9), "xxxxxxxxx"},
		{"VARCHAR", "abc", "abc"},
		{"JSON", "{}", "{}"},
		{"", "1", "1"},
		{"BLOB", "x", "x"},
		{"BOOLEAN", "true", int64(1)},
		{"bool", "OFF", int64(0)},
		{"BOOLEAN", "1", int64(1)},
		{"BOOLEAN", "f", int64(0)},
		{"INTEGER", "-5", int64(-5)},
		{"INT", "007", int64(7)},
		{"BIGINT", "9223372036854775807", int64(1<<63 - 1)},
		{"SMALLINT", "-32768", int64(-32768)},
		{"NUMERIC(10, 2)", "1.50", "1.50"},
		{"REAL", "-1e400", "-1e400"},
		{"DOUBLE PRECISION", "1e3", "1e3"},
		{"CHAR(32)", "6BA7B810-9dad-11d1-80b4-00c04fd430c8", digits},
		{"CHAR(32)", digits, digits},
		{"UUID", "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}", digits},
		{"TIMESTAMP", "2026-01-02 03:04:05.000006", "2026-01-02 03:04:05.000006"},
		{"DATETIME", "2026-01-02T03:04:05", "2026-01-02 03:04:05.000000"},
		{"TIMESTAMP", "2026-01-02", "2026-01-02 00:00:00.000000"},
		{"TIMESTAMP", "2026-01-02T03:04:05.1234567Z", "2026-01-02 03:04:05.123457"},
		{"TIMESTAMPTZ", "2026-01-02 03:04:05+00", "2026-01-02 03:04:05.000000"},
		{"TIMESTAMP", "2026-01-02 03:04", "2026-01-02 03:04:00.000000"},
		{"DATE", "2026-01-02", "2026-01-02"},
	} {
		if got, err := seedValue(c.declared, c.text); err != nil || got != c.want {
			t.Errorf("%s %q: %v, %v, want %v", c.declared, c.text, got, err, c.want)
		}
	}
	for _, c := range []struct{ declared, text, want string }{
		{"VARCHAR(3)", "abcd", "has 4 characters, and takes at most 3"},
		{"CHAR(2)", "\U0001f600xx", "has 3 characters"},
		{"CHAR(32)", "abc", "not a UUID"},
		{"CHAR(32)", "urn:uuid:" + digits, "not a UUID"},
		{"BOOLEAN", "2", "not a boolean"},
		{"BOOLEAN", "", "not a boolean"},
		{"INTEGER", "1.0", "not a whole number"},
		{"INTEGER", "", "not a whole number"},
		{"INTEGER", "9223372036854775808", "not a whole number of at most 64 bits"},
		{"INTEGER", "1_000", "not a whole"},
		{"SMALLINT", "32768", "at most 16 bits"},
		{"NUMERIC", "x", "not a number"},
		{"REAL", "NaN", "not a number"},
		{"REAL", "0x1p4", "not a number"},
		{"REAL", "", "not a number"},
		{"TIMESTAMP", "2026-02-30 00:00:00", "not a timestamp"},
		{"TIMESTAMP", "02.01.2026", "not a timestamp"},
		{"TIMESTAMP", "2026-01-02 03:04:05+02:00", "write the time in UTC"},
		{"TIMESTAMP", "", "not a timestamp"},
		{"DATE", "2026-01-02 00:00:00", "not a date"},
	} {
		if got, err := seedValue(c.declared, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, %v, want %s", c.declared, c.text, got, err, c.want)
		}
	}
}
