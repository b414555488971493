package main

import (
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

func TestWidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "acme": 4, "Zürich": 6, "Zu\u0308rich": 6, "株式会社": 8, "ｱｸﾒ": 3, "🚀": 2, "🇨🇭": 2, "👍🏽": 2,
		"\x1b[32m✓\x1b[0m": 1, "각": 2, "e\u0301\u0302\u0303": 1,
	} {
		testkit.Equal(t, text, width(text), want)
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
		{"株式会社", 6, "株式…"}, // half a character is none
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
		{"👍🏽👍🏽", 3, "👍🏽…"},
		{"acme", 1, "…"},
	} {
		got := fit(c.text, c.n)
		testkit.Equal(t, c.text, got, c.want)
		if width(got) > c.n {
			t.Errorf("%q is wider than %d", got, c.n)
		}
	}
}

// Columns begin in the same place, whatever the cells hold.
func TestTableIsAligned(t *testing.T) {
	t.Parallel()
	var out output
	rows := &table{w: &out, indent: "  ", heading: newPalette(true).dim.SprintFunc()}
	testkit.Must(t, rows.write(
		[]string{"NAME", "END"}, []string{"acme", "|"}, []string{"株式会社アクメ", "|"}, []string{"Zu\u0308rich 🚀", "|"},
		[]string{newPalette(true).mark(markGood) + " good", "|"},
	))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	testkit.Equal(t, "the heading", lines[0], "\x1b[2m  NAME            END\x1b[22m")
	for _, line := range lines[1:] {
		before, _, _ := strings.Cut(line, "|")
		testkit.Equal(t, line, width(before), 2+14+2)
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	const whole = "KEY     TIME   STEP   MESSAGE\nabcdef  12:00  first  a message that is rather long\n"
	for columns, want := range map[int]string{
		0:  whole,
		80: whole,
		45: "KEY     TIME   STEP   MESSAGE\nabcdef  12:00  first  a message that is rath…\n",
		40: "KEY     TIME   MESSAGE\nabcdef  12:00  a message that is rather…\n", // STEP can be spared first
		30: "KEY     MESSAGE\nabcdef  a message that is rat…\n",
		15: "KEY     MESSAGE\nabcdef  a message that is rather long\n", // too narrow for a row on a line
	} {
		var out output
		rows := &table{w: &out, columns: columns, spare: []int{2, 1}}
		testkit.Must(t, rows.write([]string{"KEY", "TIME", "STEP", "MESSAGE"},
			[]string{"abcdef", "12:00", "first", "a message that is rather long"}))
		testkit.Equal(t, fmt.Sprint("the table in ", columns), out.String(), want)
	}
}
