package telemetry

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Bound returns text if its written form takes at most limit bytes. Otherwise it returns the longest beginning that
// fits, and the length of the whole text. It cuts between runes. A character that JSON or quoting escapes counts with
// the length of its escape: 1 KiB of control characters would otherwise be 6 KiB of log.
func Bound(text string, limit int) string {
	const longest = len(`\U0010ffff`)
	if len(text)*longest <= limit {
		return text
	}
	written := 0
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		written += writtenLen(r, size)
		if written > limit {
			return fmt.Sprintf("%s… (%d bytes)", text[:at], len(text))
		}
		at += size
	}
	return text
}

// writtenLen is the number of bytes that a rune of this size takes in JSON or in a quoted string, whichever is longer.
func writtenLen(r rune, size int) int {
	switch {
	case r == utf8.RuneError && size == 1: // \ufffd
		return 6
	case r == '"', r == '\\', r == '\n', r == '\r', r == '\t':
		return 2
	case unicode.IsPrint(r):
		return size
	case r > 0xffff:
		return len(`\U0010ffff`)
	}
	return len(`\uffff`)
}
