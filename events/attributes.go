package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// attribute is one context attribute as it is encoded; value is a string, bool or int32.
type attribute struct {
	name  string
	value any
}

// fromAttributes makes an event without data from attribute values: strings, and for extensions also bool or int32. It
// fills the context
// directly, because sdk-go's setters trim: the identity of a request is what was sent, byte for byte.
func fromAttributes(values map[string]any) (event.Event, error) {
	core := map[string]string{}
	extensions := map[string]any{}
	for _, name := range sortedKeys(values) {
		s, isText := values[name].(string)
		if isText {
			if err := checkText(s); err != nil {
				return event.Event{}, fmt.Errorf("%s: %w", name, err)
			}
		}
		if isCore(name) {
			core[name] = s
		} else {
			extensions[name] = values[name]
		}
	}
	if v := core["specversion"]; v != event.CloudEventsVersionV1 {
		return event.Event{}, fmt.Errorf("specversion is %s; send %q", Quote(v), event.CloudEventsVersionV1)
	}
	for _, name := range []string{"id", "source", "type"} {
		if strings.TrimSpace(core[name]) == "" {
			return event.Event{}, fmt.Errorf("%s is missing or empty", name)
		}
	}
	source, err := verbatimURL(core["source"])
	if err != nil {
		return event.Event{}, fmt.Errorf("source: %w", err)
	}
	c := &event.EventContextV1{
		ID: core["id"], Source: types.URIRef{URL: source}, Type: core["type"],
		Subject: optional(core["subject"]), DataContentType: optional(core["datacontenttype"]),
	}
	if s := core["time"]; s != "" {
		t, err := parseTime(s)
		if err != nil {
			return event.Event{}, fmt.Errorf("time: %w", err)
		}
		c.Time = &types.Timestamp{Time: t}
	}
	if s := core["dataschema"]; s != "" {
		schema, err := verbatimURL(s)
		if err != nil {
			return event.Event{}, fmt.Errorf("dataschema: %w", err)
		}
		c.DataSchema = &types.URI{URL: schema}
	}
	if len(extensions) > 0 {
		c.Extensions = extensions
	}
	e := event.Event{Context: c}
	return e, validate(e)
}

// isCore reports whether CloudEvents itself defines the attribute. All of these are strings.
func isCore(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema":
		return true
	}
	return false
}

// notAString is the error for an attribute of CloudEvents itself whose JSON value is another type.
func notAString(name string, raw json.RawMessage) error {
	send := "a string"
	switch name {
	case "specversion":
		send = fmt.Sprintf("the string %q", event.CloudEventsVersionV1)
	case "time":
		send = `a string such as "2006-01-02T15:04:05Z"`
	}
	return fmt.Errorf("%s is %s, not a string; send %s", name, kindOf(raw), send)
}

// attributesOf lists the attributes of an event in the order in which they are encoded. It first applies the rules of
// [Decode], so that this package can decode whatever it encodes.
func attributesOf(e event.Event) ([]attribute, error) {
	if err := validate(e); err != nil {
		return nil, err
	}
	if v := e.SpecVersion(); v != event.CloudEventsVersionV1 {
		return nil, fmt.Errorf("specversion is %s; only %q is written", Quote(v), event.CloudEventsVersionV1)
	}
	list := []attribute{
		{"specversion", e.SpecVersion()},
		{"id", e.ID()},
		{"source", e.Source()},
		{"type", e.Type()},
		{"subject", e.Subject()},
		{"time", timeText(e)},
		{"datacontenttype", e.DataContentType()},
		{"dataschema", e.DataSchema()},
	}
	values := map[string]any{}
	for _, a := range list {
		values[a.name] = a.value
	}
	written := list[:0]
	for _, a := range list {
		if a.value != "" {
			written = append(written, a)
		}
	}
	extensions := e.Extensions()
	for _, name := range sortedKeys(extensions) {
		if err := checkName(name); err != nil {
			return nil, err
		}
		if _, taken := values[name]; taken {
			return nil, fmt.Errorf("extension %s has the name of an attribute", name)
		}
		value, err := extensionValue(extensions[name])
		if err != nil {
			return nil, fmt.Errorf("extension %s: %w", Quote(name), err)
		}
		values[name] = value
		written = append(written, attribute{name, value})
	}
	_, err := fromAttributes(values)
	return written, err
}

// extensionValue converts a value of the CloudEvents type system to the form that the JSON format has for it.
func extensionValue(v any) (any, error) {
	v, err := types.Validate(v)
	if err != nil {
		return nil, errors.New("is not of a CloudEvents type")
	}
	switch v := v.(type) {
	case bool, int32:
		return v, nil
	default:
		return types.Format(v)
	}
}

func timeText(e event.Event) string {
	if c, ok := e.Context.(*event.EventContextV1); ok && c.Time != nil {
		return c.Time.String()
	}
	return ""
}

// validate is the final check, by sdk-go, with a short error of one line.
func validate(e event.Event) error {
	err := e.Validate()
	var faults event.ValidationError
	if errors.As(err, &faults) && len(faults) > 0 {
		name := sortedKeys(faults)[0]
		return fmt.Errorf("%s: %s", name, cut(faults[name].Error(), maxErrorText))
	}
	return err
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
