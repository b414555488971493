package handler

import (
	"testing"

	"github.com/nats-io/nats.go"
)

// Any text becomes printable ASCII in a header, and is restored by a reader.
func FuzzHeaderText(f *testing.F) {
	for _, s := range []string{"", "plain", `with "quotes"`, "two\r\nlines", "Zürich", `back\slash\"`, "\xff\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := headerText(s)
		for _, b := range []byte(text) {
			if b < ' ' || b > '~' {
				t.Fatalf("%q holds %#x", text, b)
			}
		}
		if len(text) <= maxHeaderText && readHeaderText(text) != s {
			t.Errorf("%q reads %q, was %q", text, readHeaderText(text), s)
		}
		readHeaderText(s) // any client may publish to the stream
	})
}

// Any header gives a replay number of 31 bits, or 0.
func FuzzReplayNumber(f *testing.F) {
	for _, s := range []string{"1", "0", "-1", "007", "2147483647", "2147483648", "1e3", " 1", ""} {
		f.Add("Replay-Number", s)
		f.Add("replay-number", s)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		n := replayNumber(nats.Header{name: {value}})
		if n < 0 || n > 1<<31-1 {
			t.Errorf("%q: %q is %d", name, value, n)
		}
	})
}
