package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth limits the nesting of JSON, counted over the whole text. A request has two levels.
const maxDepth = 64

// Errors of readObject that its callers distinguish.
var (
	errNotObject = errors.New("not a JSON object")
	errArray     = fmt.Errorf("is an array, %w", errNotObject)
)

// byteOrderMark may precede a JSON text; RFC 8259, section 8.1, allows readers to ignore it.
const byteOrderMark = "\ufeff"

func withoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte(byteOrderMark)) }

// readObject reads exactly one JSON object, strictly: UTF-8, no duplicate key, nothing after it, nesting up to
// maxDepth. encoding/json alone accepts invalid UTF-8 and duplicate keys. With an error it returns the members that it
// could read, without those whose key is duplicate. The error is a phrase whose subject is the text.
func readObject(text []byte) (map[string]json.RawMessage, error) {
	text = withoutMark(text)
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 || !startsObject(text) {
		return nil, describeText(text)
	}
	if depth(text) > maxDepth {
		return nil, fmt.Errorf("is nested more than %d levels deep", maxDepth)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("is %w: %w", errNotObject, err)
	}
	members := map[string]json.RawMessage{}
	var twice []string
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("is %w: %w", errNotObject, err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("is %w: %w", errNotObject, err)
		}
		name, _ := key.(string)
		if _, seen := members[name]; seen {
			twice = append(twice, name)
		}
		members[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("is %w: %w", errNotObject, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has text that follows the JSON object")
	}
	for _, name := range twice {
		delete(members, name)
	}
	if len(twice) > 0 {
		return members, fmt.Errorf("has the member %s more than once", Quote(twice[0]))
	}
	return members, nil
}

const jsonSpace = " \t\r\n"

func startsObject(text []byte) bool {
	for _, c := range text {
		if strings.IndexByte(jsonSpace, c) < 0 {
			return c == '{'
		}
	}
	return false
}

// foreignTexts are the first bytes of what publishers send instead of JSON in UTF-8: compressed (RFC 1952, 1950, 8878),
// or in another encoding, with its byte order mark or without. The longer ones come first.
var foreignTexts = []struct{ prefix, phrase string }{
	{"\x1f\x8b", "is compressed with gzip; send it uncompressed"},
	{"x\x01", "is compressed with zlib; send it uncompressed"},
	{"x\x9c", "is compressed with zlib; send it uncompressed"},
	{"x\xda", "is compressed with zlib; send it uncompressed"},
	{"\x28\xb5\x2f\xfd", "is compressed with zstd; send it uncompressed"},
	{"\xff\xfe\x00\x00", "is UTF-32; send UTF-8"},
	{"\x00\x00\xfe\xff", "is UTF-32; send UTF-8"},
	{"{\x00\x00\x00", "is UTF-32; send UTF-8"},
	{"\x00\x00\x00{", "is UTF-32; send UTF-8"},
	{"\xff\xfe", "is UTF-16; send UTF-8"},
	{"\xfe\xff", "is UTF-16; send UTF-8"},
	{"{\x00", "is UTF-16; send UTF-8"},
	{"\x00{", "is UTF-16; send UTF-8"},
}

// describeText says what a text is that is not a JSON object in UTF-8.
func describeText(text []byte) error {
	for _, foreign := range foreignTexts {
		if bytes.HasPrefix(text, []byte(foreign.prefix)) {
			return errors.New(foreign.phrase)
		}
	}
	switch trimmed := bytes.TrimLeft(text, jsonSpace); {
	case !utf8.Valid(text):
		return errors.New("is not valid UTF-8; send JSON in UTF-8, uncompressed")
	case len(trimmed) == 0:
		return fmt.Errorf("is empty, %w", errNotObject)
	case trimmed[0] == '[':
		return errArray
	case json.Valid(trimmed):
		return fmt.Errorf("is %s, %w", kindOf(trimmed), errNotObject)
	}
	return fmt.Errorf("is %w", errNotObject)
}

// kindOf names the type of a valid JSON value.
func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// attributeValue reads a value that the JSON format allows for an attribute: a string, a boolean, a 32-bit integer, or
// null for unset (nil).
func attributeValue(raw json.RawMessage) (any, error) {
	switch c := raw[0]; {
	case c == '"':
		return readString(raw)
	case string(raw) == "null":
		return nil, nil
	case c == 't' || c == 'f':
		return c == 't', nil
	case c == '{' || c == '[':
		return nil, errors.New("is an object or array; attributes are strings, integers or booleans")
	}
	n, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%s is not an integer of 32 bits; send a string", Quote(string(raw)))
	}
	return int32(n), nil
}

// readString reads a JSON string. encoding/json would replace an unpaired surrogate by U+FFFD.
func readString(raw json.RawMessage) (string, error) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", errors.New("is not a string; send one")
	}
	if hasLoneSurrogate(string(raw)) {
		return "", errors.New("holds an unpaired surrogate")
	}
	return s, nil
}

// hasLoneSurrogate reports whether the escapes of a valid JSON string contain an unpaired surrogate.
func hasLoneSurrogate(raw string) bool {
	high := false // the escape before this one was the first half of a pair
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' && raw[i+1] == 'u' {
			n, _ := strconv.ParseUint(raw[i+2:i+6], 16, 16)
			low := 0xDC00 <= n && n <= 0xDFFF
			if low != high {
				return true
			}
			high = 0xD800 <= n && n <= 0xDBFF
			i += 5
			continue
		}
		if high {
			return true
		}
		if raw[i] == '\\' {
			i++
		}
	}
	return false
}

// depth is the nesting of the text, counted before anything parses it.
func depth(text []byte) int {
	deepest, level, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

// writeJSON writes a value without the escapes that only HTML needs.
func writeJSON(b *bytes.Buffer, v any) {
	text, err := marshal(v)
	if err != nil {
		panic(err) // callers pass only strings, booleans and integers
	}
	b.Write(text)
}

func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
