// Package repeatlog logs a fault that repeats once, with a count.
//
// A loop that retries has one [Log]. It reports every failure to [Log.Warn] or [Log.Error], and the end of the trouble
// to [Log.Recovered]:
//
//	faults := repeatlog.New(log)
//	for {
//		err := try()
//		if err == nil {
//			faults.Recovered("requests are taken again")
//			return
//		}
//		faults.Error("cannot take requests; retrying", err)
//		...
//	}
//
// From the first failure to the recovery is one episode. Within an episode:
//
//  1. The first failure is logged at once, and so is each failure whose text differs from those logged before.
//  2. A failure that repeats one of the texts is counted and not logged. The next line has the count. Texts are
//     compared without what differs each time: random names, UUIDs, long numbers, and the client's own port.
//  3. No more than [maxTexts] texts are logged at once. After that, as where each message has a text of its own, one
//     line a minute is logged.
//  4. The recovery is one line: how many failures there were, and for how long.
//
// Where nothing reports the recovery, use [NewWithQuiet].
package repeatlog

import (
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"
)

const (
	// maxTexts is how many texts of an episode are known. Alternating faults, as of several servers, need a few.
	maxTexts = 16
	// pause is the time between two lines once maxTexts are known.
	pause = time.Minute
	// maxText is how much of a text is compared, in bytes: as much as the log shows.
	maxText = 1024
)

// changing matches what differs each time in the text of one fault: the client's own address in "read tcp
// 10.0.0.5:40312->10.0.0.9:5432", a name of 20 or more random letters and digits, a UUID, and a number of six or more
// digits, such as a process id.
var changing = regexp.MustCompile(
	`\S+->|[[:alnum:]]{20,}|[[:xdigit:]]{8}(-[[:xdigit:]]{4}){3}-[[:xdigit:]]{12}|[[:digit:]]{6,}`,
)

// Log logs the failures of one loop, or of one source of errors. Its methods may be called concurrently.
type Log struct {
	log       *slog.Logger
	quiet     time.Duration // 0: only Recovered ends an episode
	recovered string        // the message of an episode that ends by quiet

	mu       sync.Mutex
	count    int // failures in this episode; 0: there is no episode
	unlogged int // failures since the last line
	began    time.Time
	last     time.Time // of the last failure
	lastLine time.Time
	texts    []string // logged in this episode, the oldest first
	timer    *time.Timer
}

// New returns a Log whose episodes end by [Log.Recovered].
func New(log *slog.Logger) *Log { return &Log{log: log} }

// NewWithQuiet returns a Log for faults whose end nothing reports: an episode ends also when nothing has failed for
// quiet. The message is then logged, but only where failures were counted and not logged.
func NewWithQuiet(log *slog.Logger, quiet time.Duration, message string) *Log {
	return &Log{log: log, quiet: quiet, recovered: message}
}

// Warn reports a failure at level warn: a message, which is constant or nearly so, and the error, which may be nil.
// Further arguments are those of [slog.Logger.Warn]; they are logged and not compared.
func (l *Log) Warn(message string, err error, args ...any) { l.failed(l.log.Warn, message, err, args) }

// Error is Warn at level error.
func (l *Log) Error(message string, err error, args ...any) {
	l.failed(l.log.Error, message, err, args)
}

func (l *Log) failed(write func(string, ...any), message string, err error, args []any) {
	text := message
	if err != nil {
		text += ": " + err.Error()
		args = append([]any{"error", err}, args...)
	}
	text = changing.ReplaceAllString(text[:min(len(text), maxText)], "*")

	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.count == 0 {
		l.began = now
	}
	l.count++
	l.last = now
	l.endAfterQuiet()
	if slices.Contains(l.texts, text) || len(l.texts) == maxTexts && now.Sub(l.lastLine) < pause {
		l.unlogged++
		return
	}
	if len(l.texts) == maxTexts {
		l.texts = slices.Delete(l.texts, 0, 1)
	}
	l.texts = append(l.texts, text)
	if l.unlogged > 0 {
		args = append(args, "not_logged", l.unlogged)
	}
	l.unlogged, l.lastLine = 0, now
	write(message, args...)
}

// Recovered ends the episode with a line at level info. Without an episode it does nothing, so that each success may be
// reported.
func (l *Log) Recovered(message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count > 0 {
		l.end(message, time.Now())
	}
}

// endAfterQuiet ends the episode where nothing fails for a while. The caller holds the lock.
func (l *Log) endAfterQuiet() {
	switch {
	case l.quiet == 0:
	case l.timer == nil:
		l.timer = time.AfterFunc(l.quiet, l.quietPassed)
	default:
		l.timer.Reset(l.quiet)
	}
}

func (l *Log) quietPassed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == 0 || time.Since(l.last) < l.quiet { // over, or another failure has come first
		return
	}
	if l.unlogged == 0 {
		l.reset()
		return
	}
	l.end(l.recovered, l.last)
}

// end logs the end of the episode. The caller holds the lock.
func (l *Log) end(message string, at time.Time) {
	l.log.Info(message, "failures", l.count, "lasted", at.Sub(l.began).Round(time.Millisecond).String())
	l.reset()
}

func (l *Log) reset() {
	if l.timer != nil {
		l.timer.Stop()
	}
	l.count, l.unlogged, l.texts = 0, 0, nil
}
