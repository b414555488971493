package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"example.com/tenant-provisioner/events"
)

// maxJSONDepth limits the nesting of a JSON value.
const maxJSONDepth = 100

// JSONTemplate reads a JSON value with placeholders in its strings. Everything else stays as it is written: blanks, the
// order of keys, numbers with all digits. Keys hold no placeholders, and each is there once. The error is a phrase
// whose subject is the text.
func JSONTemplate(text string) (Template, error) {
	if err := checkJSON(text); err != nil {
		return nil, err
	}
	r := &jsonReader{text: text, decoder: json.NewDecoder(strings.NewReader(text))}
	r.decoder.UseNumber()
	if err := r.value(0); err != nil {
		return nil, err
	}
	r.copyTo(len(text))
	return r.t.Template(), nil
}

// checkJSON fails if the text is not one JSON value. The reader of tokens accepts more than that.
func checkJSON(text string) error {
	var whole json.RawMessage
	err := json.Unmarshal([]byte(text), &whole)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("is not JSON: %w (byte %d)", err, syntax.Offset)
	}
	return err
}

// jsonReader reads the tokens of a valid JSON value.
type jsonReader struct {
	text    string
	decoder *json.Decoder
	t       TemplateBuilder
	copied  int // bytes of text that are in t
}

// copyTo appends the text up to an offset as it is written.
func (r *jsonReader) copyTo(end int) {
	if end > r.copied {
		r.t.Constant(r.text[r.copied:end])
		r.copied = end
	}
}

func (r *jsonReader) value(depth int) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("is nested more than %d levels deep", maxJSONDepth)
	}
	token, raw, err := r.token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string:
		return r.string(raw)
	case json.Delim:
		keys := map[string]bool{}
		for r.decoder.More() {
			if token == '{' {
				if err := r.key(keys); err != nil {
					return err
				}
			}
			if err := r.value(depth + 1); err != nil {
				return err
			}
		}
		_, _, err = r.token()
	}
	return err
}

// token returns the next token, and how it is written.
func (r *jsonReader) token() (token json.Token, raw string, err error) {
	before := r.decoder.InputOffset()
	if token, err = r.decoder.Token(); err != nil {
		return nil, "", err
	}
	return token, strings.TrimLeft(r.text[before:r.decoder.InputOffset()], " \t\r\n,:"), nil
}

// key reads a key. Those of the object so far are in keys.
func (r *jsonReader) key(keys map[string]bool) error {
	_, raw, err := r.token()
	if err != nil {
		return err
	}
	key, err := decodeString(raw)
	if err != nil {
		return fmt.Errorf("has the key %s, which %w", events.Quote(raw), err)
	}
	if strings.Contains(key, "${") {
		return fmt.Errorf("has the key %s; placeholders are replaced in values, not in keys", events.Quote(key))
	}
	if keys[key] {
		return fmt.Errorf("has the key %s twice; remove one", events.Quote(key))
	}
	keys[key] = true
	return nil
}

// string reads a string that is a value. One without placeholders stays as it is written.
func (r *jsonReader) string(raw string) error {
	text, err := decodeString(raw)
	if err != nil || !strings.Contains(text, "${") {
		return err
	}
	t, err := ParseTemplate(text)
	if err != nil {
		return err
	}
	end := int(r.decoder.InputOffset())
	r.copyTo(end - len(raw))
	r.t.Constant(`"`)
	for _, part := range t {
		part.InJSON = true
		part.Constant = insideQuotes(part.Constant)
		r.t.Add(part)
	}
	r.t.Constant(`"`)
	r.copied = end
	return nil
}

var (
	// wholePair matches an escaped backslash, and a surrogate pair.
	wholePair     = regexp.MustCompile(`\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	loneSurrogate = regexp.MustCompile(`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)
)

// decodeString returns the characters of a JSON string. encoding/json alone replaces half of a surrogate pair.
func decodeString(raw string) (text string, err error) {
	if err := json.Unmarshal([]byte(raw), &text); err != nil {
		return "", err
	}
	if strings.Contains(text, "\x00") {
		return "", errNUL
	}
	if strings.Contains(text, "\ufffd") && loneSurrogate.MatchString(wholePair.ReplaceAllString(raw, " ")) {
		return "", errSurrogate
	}
	return text, nil
}

// insideQuotes returns the text as it is written in a JSON string, without the quotation marks.
func insideQuotes(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic(err) // a text can be encoded
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `"`), "\"\n")
}
