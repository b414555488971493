package main

import (
	"io"

	"github.com/fatih/color"
)

// Marks of what is in order, what is not, what deserves a look, and what nobody knows.
const (
	markGood    = "✓"
	markBad     = "✗"
	markCareful = "!"
	markUnknown = "?"
)

// palette colours text for one writer, or leaves it as it is where that has no colours. Meaning never hangs on a
// colour: every coloured mark is a mark of its own.
type palette struct{ good, bad, careful, dim *color.Color }

func newPalette(on bool) palette {
	colour := func(attribute color.Attribute) *color.Color {
		c := color.New(attribute)
		c.DisableColor() // the library goes by the process' own standard output
		if on {
			c.EnableColor()
		}
		return c
	}
	return palette{
		good: colour(color.FgGreen), bad: colour(color.FgRed), careful: colour(color.FgYellow), dim: colour(color.Faint),
	}
}

func (a *app) palette(w io.Writer) palette { return newPalette(a.coloured(w)) }

// mark is a mark in its colour.
func (p palette) mark(mark string) string {
	switch mark {
	case markGood:
		return p.good.Sprint(mark)
	case markBad:
		return p.bad.Sprint(mark)
	case markCareful, markUnknown:
		return p.careful.Sprint(mark)
	}
	return mark
}
