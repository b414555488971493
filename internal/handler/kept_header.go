package handler

import (
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// keptPrefix is the prefix under which a copy of a message keeps a header that it must not, or cannot, have under its
// own name. The original name follows it. In that name and in the value each byte that cannot be written, and each %,
// is replaced by % and two hex digits.
const keptPrefix = deadLetterPrefix + "Header-"

// keepHeader returns the header with which a copy of a message can be published. It keeps under another name:
//
//   - Instructions to the server or a client: Nats-… (except Nats-Msg-Id), Status, Description. On the copy they would
//     act again: the server would reject or drop it, or a client would discard it.
//   - Dead-Letter-…, which is reserved for the reasons of a dead letter. If the message is a copy itself (a replay),
//     what is already kept stays as it is.
//   - Headers that the client library refuses to write (names with blanks, control characters and the like), or would
//     change (line breaks in a value, blanks around it).
func keepHeader(original nats.Header, copied bool) nats.Header {
	header := nats.Header{}
	for name, values := range original {
		switch {
		case copied && hasPrefixFold(name, keptPrefix) && isWritable(name) && !slices.ContainsFunc(values, changes):
			header[name] = append(header[name], values...)
		case instructs(name), hasPrefixFold(name, deadLetterPrefix), !isWritable(name), slices.ContainsFunc(values, changes):
			kept := keptPrefix + escape(name, isWritableByte)
			for _, value := range values {
				header[kept] = append(header[kept], escapeValue(value))
			}
		default:
			header[name] = values
		}
	}
	return header
}

// originalHeader undoes [keepHeader]: it returns the header of the original of a dead letter or a replay. It omits the
// reasons of the dead letter and the headers with which the copy itself was published.
func originalHeader(copied nats.Header) nats.Header {
	header := nats.Header{}
	for name, values := range copied {
		if strings.EqualFold(name, jetstream.MsgIDHeader) ||
			!hasPrefixFold(name, deadLetterPrefix) && !hasPrefixFold(name, "Nats-") {
			header[name] = values
		}
	}
	if header.Get(jetstream.MsgIDHeader) == ownMsgID(copied) {
		delete(header, jetstream.MsgIDHeader)
	}
	for name, values := range copied {
		if hasPrefixFold(name, keptPrefix) {
			original := make([]string, len(values))
			for i, value := range values {
				original[i] = unescape(value)
			}
			header[unescape(name[len(keptPrefix):])] = original
		}
	}
	return header
}

// keptNames returns the sorted original names of the headers that are kept under another name.
func keptNames(header nats.Header) (names []string) {
	for name := range header {
		if hasPrefixFold(name, keptPrefix) {
			names = append(names, unescape(name[len(keptPrefix):]))
		}
	}
	slices.Sort(names)
	return names
}

// instructs reports whether the server or a client acts on the header.
func instructs(name string) bool {
	return hasPrefixFold(name, "Nats-") && !strings.EqualFold(name, jetstream.MsgIDHeader) ||
		strings.EqualFold(name, "Status") || strings.EqualFold(name, "Description")
}

// isWritable reports whether the client library writes a header with this name. (nats.go 1.55.0, nats.go:
// validHeaderKeyChars)
func isWritable(name string) bool {
	for i := range len(name) {
		if !isWritableByte(name[i]) && name[i] != '%' {
			return false
		}
	}
	return name != ""
}

func isWritableByte(c byte) bool {
	return '!' <= c && c <= '~' && !strings.ContainsRune("%\"()/,:;<=>?@[\\]{}", rune(c))
}

// changes reports whether the client library would write a different value.
func changes(value string) bool {
	return strings.ContainsAny(value, "\r\n") || textproto.TrimString(value) != value
}

func escapeValue(value string) string {
	trimmed := textproto.TrimString(value)
	before, after, _ := strings.Cut(value, trimmed)
	return escape(before, nothing) +
		escape(trimmed, func(c byte) bool { return c >= ' ' && c != 0x7f && c != '%' }) + escape(after, nothing)
}

func nothing(byte) bool { return false }

func escape(s string, stays func(byte) bool) string {
	var b strings.Builder
	for i := range len(s) {
		if stays(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

// unescape undoes escape. A % without two hex digits is kept: another program wrote it.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
