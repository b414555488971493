package terminal

import (
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// Columns begin in the same place, whatever the cells hold.
func TestTableIsAligned(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	rows := &Table{W: &out, Indent: "  ", heading: NewPalette(true).Dim.SprintFunc()}
	testkit.Must(t, rows.Write(
		[]string{"NAME", "END"}, []string{"acme", "|"}, []string{"株式会社アクメ", "|"}, []string{"Zu\u0308rich 🚀", "|"},
		[]string{NewPalette(true).Mark(MarkOK) + " good", "|"},
	))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	testkit.Equal(t, "the heading", lines[0], "\x1b[2m  NAME            END\x1b[22m")
	for _, line := range lines[1:] {
		before, _, _ := strings.Cut(line, "|")
		testkit.Equal(t, line, Width(before), 2+14+2)
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	const whole = "KEY     TIME   STEP   MESSAGE\nabcdef  12:00  first  a message that is rather long\n"
	for columns, want := range map[int]string{
		0:  whole,
		80: whole,
		45: "KEY     TIME   STEP   MESSAGE\nabcdef  12:00  first  a message that is rath…\n",
		40: "KEY     TIME   MESSAGE\nabcdef  12:00  a message that is rather…\n", // STEP is omitted first
		30: "KEY     MESSAGE\nabcdef  a message that is rat…\n",
		15: "KEY     MESSAGE\nabcdef  a message that is rather long\n", // too narrow for one line for each row
	} {
		var out strings.Builder
		rows := &Table{W: &out, Columns: columns, optional: []int{2, 1}}
		testkit.Must(t, rows.Write([]string{"KEY", "TIME", "STEP", "MESSAGE"},
			[]string{"abcdef", "12:00", "first", "a message that is rather long"}))
		testkit.Equal(t, fmt.Sprint("the table in ", columns), out.String(), want)
	}
}
