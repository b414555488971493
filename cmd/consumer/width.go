package main

import (
	"regexp"
	"strings"

	"github.com/rivo/uniseg"
)

// colours are the sequences of a [palette]. Untrusted text has none: see plain.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// width is how many columns of a terminal the text takes: two for a wide character or an emoji, none for a
// combining one or a colour.
func width(text string) int { return uniseg.StringWidth(colours.ReplaceAllString(text, "")) }

// pad fills the text up to n columns.
func pad(text string, n int) string { return text + strings.Repeat(" ", max(n-width(text), 0)) }

// fit is the text, or its beginning and "…", on at most n columns. It cuts between characters as people see them.
// The text has no colours.
func fit(text string, n int) string {
	if width(text) <= n {
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
