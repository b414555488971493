package telemetry

import (
	"fmt"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

func TestBound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 10, ""},
		{"short", 5, "short"},
		{"longer", 5, "longe… (6 bytes)"},
		{"äöü", 5, "äö… (6 bytes)"}, // not within a rune
		{"日本語", 8, "日本… (9 bytes)"},
		{"\x00\x00\x00", 12, "\x00\x00… (3 bytes)"}, // as long as \u0000
		{`""""`, 6, `"""… (4 bytes)`},
		{"\xff\xff", 6, "\xff… (2 bytes)"},
		{"\U000e0001x", 10, "\U000e0001… (5 bytes)"},
	} {
		testkit.Equal(t, fmt.Sprintf("%q in %d", c.text, c.limit), Bound(c.text, c.limit), c.want)
	}
}
