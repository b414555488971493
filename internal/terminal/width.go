package terminal

import (
	"regexp"
	"strings"

	"github.com/rivo/uniseg"
)

// colorCodes are the control sequences that a [Palette] writes. Untrusted text has none: see [Plain].
var colorCodes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Width is the number of terminal columns that the text occupies: two for a wide character or an emoji, none for a
// combining character or a colour code.
func Width(text string) int { return uniseg.StringWidth(colorCodes.ReplaceAllString(text, "")) }

// Pad adds spaces up to n columns.
func Pad(text string, n int) string { return text + strings.Repeat(" ", max(n-Width(text), 0)) }

// Fit cuts the text to n columns, with "…" at the end. It cuts between characters as people see them. The text must
// have no colour codes.
func Fit(text string, n int) string {
	if Width(text) <= n {
		return text
	}
	end, used, state := 0, 0, -1
	for rest := text; rest != ""; {
		var cluster string
		var columns int
		cluster, rest, columns, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+columns > n-1 {
			break
		}
		used += columns
		end += len(cluster)
	}
	return text[:end] + "…"
}
