package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

const progressInterval = 100 * time.Millisecond

// newProgress shows on stderr, if that is a terminal, how many of total are done, how many of the unit a second, and
// the time that has passed and is left. Clear it before anything else is written to the terminal.
func (a *app) newProgress(total int, what, unit string) *progressbar.ProgressBar {
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetVisibility(a.moves(a.stderr)),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString(unit),
		progressbar.OptionThrottle(progressInterval),
		progressbar.OptionClearOnFinish(),
	)
}
