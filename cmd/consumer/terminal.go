package main

import (
	"io"

	"golang.org/x/term"
)

// usualColumns is the width of a terminal that does not say how wide it is.
const usualColumns = 80

// onTerminal is what the system's terminals have, and what stands before one.
type onTerminal interface {
	io.Writer
	Fd() uintptr
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(onTerminal)
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns is how wide the terminal behind w is now; 0 where there is none.
func columns(w io.Writer) int {
	f, ok := w.(onTerminal)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return usualColumns
}

// variable is a variable of the environment that is no setting of this program's, but a convention of terminals.
func (a *app) variable(name string) string {
	value, _ := a.env.Lookup(name)
	return value
}

// moves reports whether lines on w can be drawn again: bars, steps as they happen.
func (a *app) moves(w io.Writer) bool { return isTerminal(w) && a.variable("TERM") != "dumb" }

// coloured reports whether text on w has colours: on a terminal, or where CLICOLOR_FORCE asks for them; never where
// NO_COLOR is set (no-color.org).
func (a *app) coloured(w io.Writer) bool {
	if a.variable("NO_COLOR") != "" {
		return false
	}
	force := a.variable("CLICOLOR_FORCE")
	return force != "" && force != "0" || a.moves(w)
}
