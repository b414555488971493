package terminal

import (
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

func TestWidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "acme": 4, "Zürich": 6, "Zu\u0308rich": 6, "株式会社": 8, "ｱｸﾒ": 3, "🚀": 2, "🇨🇭": 2, "👍🏽": 2,
		"\x1b[32m✓\x1b[0m": 1, "각": 2, "e\u0301\u0302\u0303": 1,
	} {
		testkit.Equal(t, text, Width(text), want)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"acme", 4, "acme"},
		{"acmes", 4, "acm…"},
		{"株式会社", 8, "株式会社"},
		{"株式会社", 7, "株式会…"},
		{"株式会社", 6, "株式…"}, // half a character does not fit
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
		{"👍🏽👍🏽", 3, "👍🏽…"},
		{"acme", 1, "…"},
	} {
		got := Fit(c.text, c.n)
		testkit.Equal(t, c.text, got, c.want)
		if Width(got) > c.n {
			t.Errorf("%q is wider than %d", got, c.n)
		}
	}
}
