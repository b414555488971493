// Package terminal writes for people: tables, colours, a live block of lines, progress bars. It knows no word of the
// domain. Where output is not a terminal, everything is plain text.
package terminal

import (
	"io"

	"github.com/sethvargo/go-envconfig"
	"golang.org/x/term"
)

// IO is the environment of a command, its input and its two outputs.
type IO struct {
	Env      envconfig.Lookuper
	In       io.Reader // nil: none
	Out, Err io.Writer
}

// defaultColumns is the width of a terminal that does not report one.
const defaultColumns = 80

// File is an output that can be a terminal, such as an [os.File].
type File interface {
	io.Writer
	Fd() uintptr
}

// IsTerminal reports whether an input or output is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// Columns is the current width of the terminal behind w, or 0 where w is not one.
func Columns(w io.Writer) int {
	f, ok := w.(File)
	if !ok || !IsTerminal(w) {
		return 0
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return defaultColumns
}

// variable is the value of an environment variable that is a convention of terminals, or "".
func (t IO) variable(name string) string {
	value, _ := t.Env.Lookup(name)
	return value
}

// IsInteractive reports whether lines on w can be redrawn, as bars and live blocks need.
func (t IO) IsInteractive(w io.Writer) bool { return IsTerminal(w) && t.variable("TERM") != "dumb" }

// ColorEnabled reports whether text on w is coloured: on a terminal, or where CLICOLOR_FORCE is set; never where
// NO_COLOR is (no-color.org).
func (t IO) ColorEnabled(w io.Writer) bool {
	if t.variable("NO_COLOR") != "" {
		return false
	}
	force := t.variable("CLICOLOR_FORCE")
	return force != "" && force != "0" || t.IsInteractive(w)
}
