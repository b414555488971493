package terminal

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Plain makes untrusted text safe for a terminal: it quotes text with characters that do not print.
func Plain(text string) string {
	if text == "" || strings.TrimSpace(text) != text ||
		strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return strconv.Quote(text)
	}
	return text
}

// Lines makes untrusted text of several lines safe for a terminal: it replaces characters that do not print.
func Lines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// Time formats a time to the second, in UTC; "?" for the zero time, which could not be read.
func Time(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.UTC().Format(time.RFC3339)
}

// TimeMillis formats a time to the millisecond.
func TimeMillis(t time.Time) string {
	if t.IsZero() {
		return Time(t)
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// By formats a time and the person or program that acted, if known.
func By(t time.Time, who string) string {
	if who == "" {
		return Time(t)
	}
	return Time(t) + " by " + Plain(who)
}
