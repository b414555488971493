package terminal

import (
	"io"

	"github.com/fatih/color"
)

// Marks before a line.
const (
	MarkOK      = "✓"
	MarkFailed  = "✗"
	MarkWarning = "!"
	MarkUnknown = "?"
)

// Palette colours text for one writer, or leaves it unchanged. No meaning depends on a colour: every coloured mark
// differs from the others without it.
type Palette struct{ ok, Failed, Warning, Dim *color.Color }

// NewPalette returns a palette with colours, or without.
func NewPalette(enabled bool) Palette {
	colored := func(attribute color.Attribute) *color.Color {
		c := color.New(attribute)
		c.DisableColor() // the library decides by the process's own standard output
		if enabled {
			c.EnableColor()
		}
		return c
	}
	return Palette{
		ok: colored(color.FgGreen), Failed: colored(color.FgRed), Warning: colored(color.FgYellow), Dim: colored(color.Faint),
	}
}

// Palette is the palette for w.
func (t IO) Palette(w io.Writer) Palette { return NewPalette(t.ColorEnabled(w)) }

// Mark returns a mark in its colour.
func (p Palette) Mark(mark string) string {
	switch mark {
	case MarkOK:
		return p.ok.Sprint(mark)
	case MarkFailed:
		return p.Failed.Sprint(mark)
	case MarkWarning, MarkUnknown:
		return p.Warning.Sprint(mark)
	}
	return mark
}
