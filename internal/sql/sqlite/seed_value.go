package sqlite

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"example.com/tenant-provisioner/internal/sql"
)

// seedValue returns what a column of the declared type stores for a text that PostgreSQL would read as that type: what
// DocEX stores. SQLite itself enforces neither types nor lengths. The error is a phrase whose subject is the column.
func seedValue(declared, text string) (any, error) {
	name := typeName(declared)
	if limit := lengthForm.FindStringSubmatch(name); limit != nil {
		if n, err := strconv.Atoi(limit[1]); err == nil && utf8.RuneCountInString(text) > n {
			return nil, fmt.Errorf("has %d characters, and takes at most %d", utf8.RuneCountInString(text), n)
		}
		return text, nil
	}
	if convert := conversions[name]; convert != nil {
		return convert(text)
	}
	if numberForm.MatchString(name) {
		return number(text)
	}
	return text, nil
}

var (
	// lengthForm matches a type of texts with a limit. char(32) is not one of them: see aliases.
	lengthForm = regexp.MustCompile(`^(?:varchar|char|character|nchar|nvarchar)\(([0-9]+)\)$`)
	// numberForm matches types of numbers that are not whole.
	numberForm = regexp.MustCompile(`^(?:numeric|decimal|real|float|float4|float8|double|doubleprecision)(?:\(.*\))?$`)
)

// conversions are the conversions by the type, in the definition's spelling.
var conversions = map[string]func(text string) (any, error){
	sql.Boolean: boolean, sql.UUID: uuidDigits, sql.Timestamp: timestamp, sql.TimestampTZ: timestamp, "date": date,
	sql.Integer: whole(64), sql.Bigint: whole(64), "smallint": whole(16), "int2": whole(16), "tinyint": whole(16),
	"mediumint": whole(64), "int4": whole(64),
}

// booleans are the texts that PostgreSQL reads as a boolean, without other abbreviations.
var booleans = map[string]int64{
	"t": 1, "true": 1, "y": 1, "yes": 1, "on": 1, "1": 1, "f": 0, "false": 0, "n": 0, "no": 0, "off": 0, "0": 0,
}

func boolean(text string) (any, error) {
	value, ok := booleans[strings.ToLower(text)]
	if !ok {
		return nil, fmt.Errorf("has %q, not a boolean; write true or false", text)
	}
	return value, nil
}

// whole reads an integer of so many bits.
func whole(bits int) func(text string) (any, error) {
	return func(text string) (any, error) {
		value, err := strconv.ParseInt(text, 10, bits)
		if err != nil {
			return nil, fmt.Errorf("has %q, not a whole number of at most %d bits", text, bits)
		}
		return value, nil
	}
}

// number leaves the conversion to SQLite.
func number(text string) (any, error) {
	_, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrSyntax) || strings.ContainsAny(text, "xXpPiInN_") {
		return nil, fmt.Errorf("has %q, not a number", text)
	}
	return text, nil
}

// uuidDigits returns a UUID as DocEX stores it: 32 hex digits.
func uuidDigits(text string) (any, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("has %q, not a UUID", text)
	}
	return strings.ReplaceAll(id.String(), "-", ""), nil
}

// timestampForms are the forms of a timestamp; T may stand for the blank. Fractions of a second are read without a form
// of their own.
var timestampForms = []string{
	time.DateTime, "2006-01-02 15:04", time.DateOnly,
	time.DateTime + "Z07:00", "2006-01-02 15:04Z07:00", time.DateTime + "Z07",
}

func timestamp(text string) (any, error) {
	for _, form := range timestampForms {
		t, err := time.Parse(form, strings.Replace(text, "T", " ", 1))
		if err != nil {
			continue
		}
		if _, offset := t.Zone(); offset != 0 {
			return nil, fmt.Errorf("has %q; write the time in UTC", text)
		}
		return formatTime(t.Round(time.Microsecond)), nil
	}
	return nil, fmt.Errorf("has %q, not a timestamp; write 2026-01-31 23:59:59, in UTC", text)
}

func date(text string) (any, error) {
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return nil, fmt.Errorf("has %q, not a date; write 2026-01-31", text)
	}
	return text, nil
}
