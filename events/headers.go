package events

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// foldHeader keeps content-type and the ce-* headers, under their names in lower case. NATS headers are looked up by
// case, but the names of the binding are case-insensitive. Two values for one name are an error, because the choice
// between them would decide the identity of the request.
func foldHeader(header map[string][]string) (map[string]string, error) {
	fields := map[string]string{}
	for _, name := range sortedKeys(header) {
		folded := strings.ToLower(name)
		if folded != headerContentType && !strings.HasPrefix(folded, attributePrefix) {
			continue
		}
		for _, value := range header[name] {
			if _, twice := fields[folded]; twice {
				return nil, fmt.Errorf("header %s appears more than once; send it once", Quote(folded))
			}
			fields[folded] = value
		}
	}
	return fields, nil
}

// otherBinding finds a header that has the name of an attribute in another protocol binding of CloudEvents.
func otherBinding(header map[string][]string) (name, binding string) {
	for _, name := range sortedKeys(header) {
		switch folded := strings.ToLower(name); {
		case strings.HasPrefix(folded, "ce_"):
			return name, "Kafka"
		case strings.HasPrefix(folded, "cloudevents"): // then a colon or an underscore
			return name, "AMQP"
		}
	}
	return "", ""
}

// unquote removes the quotes and backslashes of a value that is a quoted string (RFC 7230, section 3.2.6). Earlier
// versions of the binding had them where there are percent signs today. It returns any other value unchanged.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"' && i == len(s)-1:
			return b.String()
		case s[i] == '"':
			return s // it ends before the value does
		case s[i] == '\\' && i < len(s)-1:
			i++
		}
		b.WriteByte(s[i])
	}
	return s // it has no end
}

// percentDecode reverses [percentEncode], once. It accepts characters that should have been encoded, if the result is
// UTF-8.
func percentDecode(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return "", fmt.Errorf("%s has a percent sign without two hex digits; write %%25", Quote(s[i:]))
		}
		b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
		i += 2
	}
	if !utf8.ValidString(b.String()) {
		return "", errors.New("is not UTF-8 after percent-decoding")
	}
	return b.String(), nil
}

// percentEncode encodes space, double quote, percent and everything outside U+0021–7E, as the NATS binding requires.
func percentEncode(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '"' && c != '%' {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// sortedKeys makes the first error that is found the same in every run.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
