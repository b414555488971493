package postgres

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
)

// isUnstorable reports whether the database cannot store a value, such as a NUL.
func isUnstorable(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && strings.HasPrefix(server.Code, "22")
}

// escape returns the text in ASCII, with the escapes of a Go string literal.
func escape(text string) string {
	quoted := strconv.QuoteToASCII(text)
	return quoted[1 : len(quoted)-1]
}

// escaped returns the failure in ASCII. Its event has the same meaning to a JSON parser.
func escaped(f pipeline.Failure) pipeline.Failure {
	f.Cause.Message, f.Cause.Detail = escape(f.Cause.Message), escape(f.Cause.Detail)
	f.Outcome.Body = escapeJSON(f.Outcome.Body)
	return f
}

// escapeJSON replaces characters outside ASCII, which occur only within strings, with JSON's \uXXXX escapes.
func escapeJSON(text []byte) []byte {
	var ascii []byte
	for _, r := range string(text) {
		switch {
		case r < utf8.RuneSelf:
			ascii = utf8.AppendRune(ascii, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			ascii = fmt.Appendf(ascii, `\u%04x\u%04x`, high, low)
		default:
			ascii = fmt.Appendf(ascii, `\u%04x`, r)
		}
	}
	return ascii
}
