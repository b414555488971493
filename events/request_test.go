package events_test

import (
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
)

func TestDocEXCompatible(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"acme_9": true, strings.Repeat("x", 30): true, "": false, strings.Repeat("x", 31): false, "a-b": false,
		"_": true, "_1": true, "Acme": true, "1": false, "9acme": false, "ä": false, "acme\n": false,
	} {
		if events.DocEXCompatible(id) != want {
			t.Errorf("%q: %t", id, !want)
		}
	}
}

// Invariant 5: untrusted text in a message is short and on one line.
func TestQuote(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         `""`,
		"a\"\n\x00\u0085\xff":      `"a\"\n\x00\u0085\xff"`,
		strings.Repeat("ü", 64):    `"` + strings.Repeat("ü", 64) + `"`,
		strings.Repeat("ü", 65):    `"` + strings.Repeat("ü", 64) + `"… (130 bytes)`,
		strings.Repeat("\xff", 65): `"` + strings.Repeat(`\xff`, 64) + `"… (65 bytes)`,
	} {
		if got := events.Quote(text); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
