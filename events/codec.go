package events

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
)

// ContentType is the value of the content-type header of a structured event.
const ContentType = "application/cloudevents+json"

const (
	eventContentType  = "application/cloudevents" // by the NATS binding, its event format is JSON
	headerContentType = "content-type"
	attributePrefix   = "ce-"
	howToSend         = "send a CloudEvents 1.0 JSON object with the header content-type: " + ContentType +
		", or ce-* headers with the data as body"
)

// ErrUndecodable is wrapped by every error of [Decode]. It is permanent: by the rules of this package the message is
// not a CloudEvent, and the same bytes never will be.
var ErrUndecodable = errors.New("not a CloudEvent")

var errBatch = errors.New("batches are refused: publish each event on its own")

// Decode reads a CloudEvent 1.0 from a NATS message, by invariants 1 to 5 of the package documentation. The content
// mode is structured if the content-type is [ContentType] or application/cloudevents. Otherwise it is binary if there
// is any ce-* header. Otherwise the body must be a JSON object with specversion.
//
// The error wraps [ErrUndecodable].
func Decode(header map[string][]string, body []byte) (event.Event, error) {
	// sdk-go's own JSON reader is not used: it panics on some input, drops what follows an empty key, accepts the last of
	// duplicate keys, and rejects JSON data of +json media types.
	e, err := decode(header, body)
	if err != nil {
		return event.Event{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return e, nil
}

func decode(header map[string][]string, body []byte) (event.Event, error) {
	fields, err := foldHeader(header)
	if err != nil {
		return event.Event{}, err
	}
	contentType, typed := fields[headerContentType]
	delete(fields, headerContentType)
	contentType = mediaType(contentType)

	switch {
	case strings.HasPrefix(contentType, "application/cloudevents-batch"):
		return event.Event{}, errBatch
	case contentType == ContentType, contentType == eventContentType:
		return decodeStructured(body)
	case strings.HasPrefix(contentType, eventContentType):
		return event.Event{}, fmt.Errorf("event format %s is not supported; send %s", Quote(contentType), ContentType)
	case len(fields) > 0:
		return decodeBinary(fields, body)
	}

	var e event.Event
	if typed && contentType != "application/json" {
		err = fmt.Errorf("content-type is %s and there is no ce-* header; %s", Quote(contentType), howToSend)
	} else {
		e, err = decodeStructured(body)
	}
	if err != nil {
		if name, binding := otherBinding(header); name != "" {
			err = fmt.Errorf("header %s is of the %s binding; header names on NATS begin with %s",
				Quote(name), binding, attributePrefix)
		}
	}
	return e, err
}

// decodeBinary reads the attributes from the folded ce-* headers. The body is the data, unchanged.
func decodeBinary(fields map[string]string, body []byte) (event.Event, error) {
	if _, there := fields[attributePrefix+"specversion"]; !there {
		return event.Event{}, fmt.Errorf("there are ce-* headers, but no ce-specversion; %s", howToSend)
	}
	values := make(map[string]any, len(fields))
	for _, name := range sortedKeys(fields) {
		attribute := strings.TrimPrefix(name, attributePrefix)
		if err := checkName(attribute); err != nil {
			return event.Event{}, fmt.Errorf("header %s: %w", Quote(name), err)
		}
		value := fields[name]
		if attribute != "id" && attribute != "source" { // these are kept exactly: earlier versions read them so
			value = unquote(strings.Trim(value, " \t"))
		}
		value, err := percentDecode(value)
		if err != nil {
			return event.Event{}, fmt.Errorf("header %s: %w", Quote(name), err)
		}
		values[attribute] = value
	}
	e, err := fromAttributes(values)
	if err != nil {
		return event.Event{}, err
	}
	if len(body) > 0 {
		e.DataEncoded = body
	}
	return e, nil
}

// decodeStructured reads an event in the JSON format. By that format an attribute that is null is unset; data that is
// null is the JSON value null.
func decodeStructured(body []byte) (event.Event, error) {
	members, err := readObject(body)
	switch {
	case errors.Is(err, errArray):
		return event.Event{}, errBatch
	case errors.Is(err, errNotObject):
		return event.Event{}, fmt.Errorf("the body %w; %s", err, howToSend)
	case err != nil:
		return event.Event{}, fmt.Errorf("the body %w", err)
	}
	if v := members["specversion"]; v == nil || string(v) == "null" {
		for _, name := range sortedKeys(members) {
			if name != "specversion" && strings.EqualFold(name, "specversion") {
				return event.Event{}, fmt.Errorf("%s is not an attribute name; write specversion", Quote(name))
			}
		}
		return event.Event{}, fmt.Errorf("the JSON object has no specversion; %s", howToSend)
	}
	data, data64 := members["data"], members["data_base64"]
	delete(members, "data")
	delete(members, "data_base64")

	values := make(map[string]any, len(members))
	for _, name := range sortedKeys(members) {
		if err := checkName(name); err != nil {
			return event.Event{}, err
		}
		raw := members[name]
		if isCore(name) && raw[0] != '"' && string(raw) != "null" {
			return event.Event{}, notAString(name, raw)
		}
		value, err := attributeValue(raw)
		if err != nil {
			return event.Event{}, fmt.Errorf("%s: %w", Quote(name), err)
		}
		if value != nil {
			values[name] = value
		}
	}
	e, err := fromAttributes(values)
	if err != nil {
		return event.Event{}, err
	}
	switch {
	case data64 == nil || string(data64) == "null":
		err = setData(&e, data)
	case data != nil:
		err = errors.New("data and data_base64 are both present; send one")
	default:
		err = setBase64(&e, data64)
	}
	return e, err
}

// Encode encodes an event in structured mode, with its content-type header. Equal events give equal bytes. The error
// names the attribute that breaks a rule of [Decode].
func Encode(e event.Event) (header map[string][]string, body []byte, err error) {
	attributes, err := attributesOf(e)
	if err != nil {
		return nil, nil, fmt.Errorf("encode event: %w", err)
	}
	var b bytes.Buffer
	for i, a := range attributes {
		b.WriteByte("{,"[min(i, 1)])
		writeJSON(&b, a.name)
		b.WriteByte(':')
		writeJSON(&b, a.value)
	}
	if e.DataEncoded != nil {
		b.WriteByte(',')
		writeData(&b, e)
	}
	b.WriteByte('}')
	return map[string][]string{headerContentType: {ContentType}}, b.Bytes(), nil
}

// EncodeBinary encodes an event in binary mode: a ce-* header for each attribute, and the data as body. Headers have no
// types, so an extension that is a number or boolean is decoded as text. For errors see [Encode].
func EncodeBinary(e event.Event) (header map[string][]string, body []byte, err error) {
	attributes, err := attributesOf(e)
	if err != nil {
		return nil, nil, fmt.Errorf("encode event: %w", err)
	}
	header = make(map[string][]string, len(attributes))
	for _, a := range attributes {
		header[attributePrefix+a.name] = []string{percentEncode(fmt.Sprint(a.value))}
	}
	return header, e.DataEncoded, nil
}

// mediaType is a content type without its parameters, in lower case.
func mediaType(contentType string) string {
	contentType, _, _ = strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(contentType))
}
