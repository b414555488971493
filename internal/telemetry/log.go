package telemetry

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"reflect"

	"example.com/tenant-provisioner/internal/terminal"
)

// Limits of a text in the log, in bytes. A request is as long as max_payload allows, and its fields are logged with
// each of its steps: without a limit an id of 900 KB makes 11 MB of log.
const (
	maxLogText  = 1024
	maxLogStack = 16 << 10 // the stack of a panic, which no client controls
)

// logStack is the attribute key of a panic's stack.
const logStack = "stack"

// NewLogger returns a logger that writes to w in the given format; an empty format is text on a terminal, else JSON. It
// bounds every text, whatever its origin: messages, attributes, and the contents of groups and lists.
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: boundAttr}
	if formatFor(w, format) == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// formatFor returns the format, or the default one of an output if it is empty.
func formatFor(w io.Writer, format string) string {
	switch {
	case format != "":
		return format
	case terminal.IsTerminal(w):
		return "text"
	}
	return "json"
}

// boundAttr cuts the text of an attribute, or of the message. slog calls it for each attribute that is not a group,
// including those within groups and those added by With.
func boundAttr(_ []string, a slog.Attr) slog.Attr {
	limit := maxLogText
	if a.Key == logStack {
		limit = maxLogStack
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Bound(a.Value.String(), limit))
	case slog.KindAny:
		a.Value = boundAny(a.Value.Any(), limit)
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64,
		slog.KindGroup, slog.KindLogValuer: // short, or not passed to this function
	}
	return a
}

// boundAny cuts a value of another type. A list of texts stays a list, a value with a text form becomes that text, and
// any other value is unchanged unless it is long.
func boundAny(value any, limit int) (bounded slog.Value) {
	defer func() { // as slog itself does: a value whose method panics must not end the program
		if cause := recover(); cause != nil {
			if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && v.IsNil() {
				bounded = slog.AnyValue(nil)
				return
			}
			bounded = slog.StringValue(Bound(fmt.Sprintf("!PANIC: %v", cause), limit))
		}
	}()
	switch v := value.(type) {
	case error:
		return slog.StringValue(Bound(v.Error(), limit))
	case []string:
		return slog.AnyValue(boundList(v, limit))
	case []byte:
		return slog.StringValue(Bound(string(v), limit))
	case encoding.TextMarshaler:
		if text, err := v.MarshalText(); err == nil {
			return slog.StringValue(Bound(string(text), limit))
		}
	case fmt.Stringer:
		return slog.StringValue(Bound(v.String(), limit))
	}
	// The JSON handler writes encoded, the text handler printed.
	encoded, err := json.Marshal(value)
	printed := fmt.Sprintf("%+v", value)
	if err == nil && len(encoded) <= limit && Bound(printed, limit) == printed {
		return slog.AnyValue(value)
	}
	if err == nil {
		printed = string(encoded)
	}
	return slog.StringValue(Bound(printed, limit))
}

// boundList cuts each text of a list, and the list itself where its texts together exceed the limit.
func boundList(list []string, limit int) []string {
	bounded := make([]string, 0, min(len(list), limit))
	written := 0
	for i, text := range list {
		text = Bound(text, limit)
		for _, r := range text {
			written += writtenLen(r, len(string(r)))
		}
		written += len(`"",`)
		if i > 0 && written > limit {
			return append(bounded, fmt.Sprintf("… and %d more", len(list)-i))
		}
		bounded = append(bounded, text)
	}
	return bounded
}
