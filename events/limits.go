package events

import (
	"strings"
	"unicode/utf8"
)

// Outcomes repeat text that came from outside. These limits, in bytes as encoded in JSON, keep an outcome far below the
// maximum payload of a NATS server (1 MiB by default), whatever the request was. An outcome that cannot be published
// would be retried for ever. Ids are computed from the uncut text.
const (
	maxText       = 1024 // a text in an outcome's data or attributes
	maxLeftBehind = 16   // entries
	maxErrorText  = 200  // the text of a foreign error within an error
)

// cut returns s, or its beginning and "…" if it takes more than limit bytes in JSON. Invalid UTF-8 becomes U+FFFD, as
// in JSON. It reads no further than it keeps, because s may be as long as a message.
func cut(s string, limit int) string {
	size, end := 0, 0 // end: where to cut so that "…" fits too
	for i, r := range s {
		if size+len("…") <= limit {
			end = i
		}
		size += jsonSize(r)
		if size > limit {
			return strings.ToValidUTF8(s[:end], "\uFFFD") + "…"
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// jsonSize is how many bytes a character takes in a JSON string.
func jsonSize(r rune) int {
	switch {
	case r == '"' || r == '\\':
		return 2
	case r < ' ' || r == '\u2028' || r == '\u2029':
		return len(`\u0000`)
	}
	return utf8.RuneLen(r)
}
