package events

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
)

// isJSON reports whether data of this content type is JSON. By CloudEvents a missing content type means JSON.
func isJSON(contentType string) bool {
	t := mediaType(contentType)
	return t == "" || strings.HasSuffix(t, "/json") || strings.HasSuffix(t, "+json")
}

// setData sets the data from the data member: unchanged if its content type is JSON, otherwise the text of the string.
// Of another content type, a value that is no string is kept as JSON text and null is no data: whether the type is the
// wrong one is for the reader of the data, as in binary mode.
func setData(e *event.Event, raw json.RawMessage) error {
	switch {
	case raw == nil:
		return nil
	case isJSON(e.DataContentType()):
		e.DataEncoded = raw
		return nil
	case string(raw) == "null":
		return nil
	case raw[0] != '"':
		e.DataEncoded = raw
		return nil
	}
	s, err := readString(raw)
	if err != nil {
		return fmt.Errorf("data %w", err)
	}
	if s != "" { // as in binary mode, where an empty body means no data
		e.DataEncoded = []byte(s)
	}
	return nil
}

func setBase64(e *event.Event, raw json.RawMessage) error {
	s, err := readString(raw)
	if err != nil {
		return fmt.Errorf("data_base64 %w", err)
	}
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return errors.New("data_base64 is not base64 by RFC 4648, section 4: with padding, + and /")
	}
	if len(data) > 0 {
		e.DataEncoded, e.DataBase64 = data, true
	}
	return nil
}

// writeData writes the member data, or data_base64 if the bytes cannot be part of a JSON text unchanged.
func writeData(b *bytes.Buffer, e event.Event) {
	jsonData := isJSON(e.DataContentType())
	switch data := e.DataEncoded; {
	case !e.DataBase64 && jsonData && isInlineJSON(data):
		b.WriteString(`"data":`)
		b.Write(bytes.TrimSpace(data))
	case !e.DataBase64 && !jsonData && utf8.Valid(data):
		b.WriteString(`"data":`)
		writeJSON(b, string(data))
	default:
		b.WriteString(`"data_base64":`)
		writeJSON(b, base64.StdEncoding.EncodeToString(data))
	}
}

// isInlineJSON reports whether data can be part, unchanged, of a JSON event that [Decode] accepts.
func isInlineJSON(data []byte) bool {
	return utf8.Valid(data) && depth(data) < maxDepth && json.Valid(data)
}
