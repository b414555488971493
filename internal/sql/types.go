package sql

import (
	"slices"
	"strconv"
	"strings"
)

// Types of columns that the definition does not have. Each holds every value of one that it has.
const (
	varchar     = "varchar"
	Bigint      = "bigint"
	JSONB       = "jsonb"
	TimestampTZ = "timestamp with time zone"
)

// wider lists the types that are as wide as a type of the definition, or wider: DocEX writes the same values to them
// and reads the same values back. Lengths are compared on their own.
//
// Not in it, although they hold as many values: char(n) pads with blanks; numeric and double precision are read as
// another kind of number; text for json or uuid, and date for timestamp, are another kind of value; citext, and a
// collation that is not deterministic, take different values for equal.
var wider = map[string][]string{
	varchar:   {Text},
	Text:      {varchar},
	Integer:   {Bigint},
	JSON:      {JSONB},
	Timestamp: {TimestampTZ},
}

// Holds reports whether a column of the type got is as wide as one of the type want, or wider. Both have the
// definition's spelling.
func Holds(got, want string) bool {
	g, length := splitType(got)
	w, wanted := splitType(want)
	if g != w && !slices.Contains(wider[w], g) {
		return false
	}
	return length == unlimited || wanted != unlimited && length >= wanted
}

const (
	unlimited = -1
	// microseconds is the highest precision of a timestamp, which is also the default.
	microseconds = 6
)

// splitType separates the length or precision of a type: "varchar(36)" is "varchar" and 36; without one, unlimited.
func splitType(typ string) (base string, length int) {
	before, rest, found := strings.Cut(typ, "(")
	number, after, closed := strings.Cut(rest, ")")
	n, err := strconv.Atoi(number)
	switch {
	case !found || !closed || err != nil:
		return typ, unlimited
	case strings.HasPrefix(before, Timestamp) && n == microseconds:
		n = unlimited
	}
	return before + after, n
}
