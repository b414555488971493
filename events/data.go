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

// isJSON reports whether data of this content type is JSON; CloudEvents says that none means JSON.
func isJSON(contentType string) bool {
	t := mediaType(contentType)
	return t == "" || t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

// setData takes the data member: as it stands if its content type is JSON, else the text of the string.
func setData(e *event.Event, raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	if isJSON(e.DataContentType()) {
		e.DataEncoded = raw
		return nil
	}
	s, err := readString(raw)
	if err != nil {
		return fmt.Errorf("data %w, and datacontenttype is not JSON; send a string or data_base64", err)
	}
	if s != "" { // as in binary mode, where no body is no data
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
		return errors.New("data_base64 is not base64")
	}
	if len(data) > 0 {
		e.DataEncoded, e.DataBase64 = data, true
	}
	return nil
}

// writeData writes the member data, or data_base64 where the bytes could not stand in JSON as they are.
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

// isInlineJSON reports whether data can stand as it is in a JSON event that [Decode] accepts.
func isInlineJSON(data []byte) bool {
	return utf8.Valid(data) && depth(data) < maxDepth && json.Valid(data)
}
