package terminal

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

const barInterval = 100 * time.Millisecond

// ProgressBar shows on Err, if that is interactive, how many of total are done, the rate in units a second, and the
// time elapsed and remaining. Clear it before you write anything else to the terminal.
func (t IO) ProgressBar(total int, what, unit string) *progressbar.ProgressBar {
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(t.Err),
		progressbar.OptionSetVisibility(t.IsInteractive(t.Err)),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString(unit),
		progressbar.OptionThrottle(barInterval),
		progressbar.OptionClearOnFinish(),
	)
}
