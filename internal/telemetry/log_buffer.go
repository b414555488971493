package telemetry

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxBuffered is how many bytes of log wait for a slow reader: seconds of the log of a busy service.
	maxBuffered = 4 << 20
	// writeRetry is the time between two attempts to write after an error, such as a full disk or a pipe without reader.
	writeRetry = time.Second
	// closeTimeout is how long [LogBuffer.Close] waits for the output to accept the last lines.
	closeTimeout = 500 * time.Millisecond
	// maxSpare is the largest buffer that is kept after a burst, in bytes.
	maxSpare = 64 << 10
)

// LogBuffer is a writer for a log. It never blocks and never fails: what reads the log must not stop the service. One
// goroutine writes what it holds to the output.
//
// While the output accepts no more, because its reader is slow or gone or a disk is full, LogBuffer holds a limited
// number of bytes. Further lines are dropped and counted. Once the output accepts lines again, one line reports their
// number, in the place where they are missing.
type LogBuffer struct {
	out    io.Writer
	limit  int // bytes
	retry  time.Duration
	notice func(lines uint64) []byte // a line that reports how many are missing; called with mu held

	mu      sync.Mutex
	waiting []byte // not passed to the output yet
	spare   []byte // the empty buffer that replaces waiting
	writing int    // bytes that are passed to the output and not accepted yet
	missing uint64 // lines dropped since the last notice
	dropped uint64 // lines dropped in total
	closed  bool

	wake   chan struct{} // receives when there is something to do
	ending chan struct{} // closed by Close
	done   chan struct{} // closed when the goroutine has ended
}

// NewBufferedLogger returns a logger as [NewLogger] does, that writes to w through a [LogBuffer]. Close the buffer
// after use.
func NewBufferedLogger(w io.Writer, level slog.Level, format string) (*slog.Logger, *LogBuffer) {
	format = formatFor(w, format)
	b := newLogBuffer(w, format)
	go b.run()
	return NewLogger(b, level, format), b
}

func newLogBuffer(w io.Writer, format string) *LogBuffer {
	var line bytes.Buffer
	notices := NewLogger(&line, slog.LevelWarn, format)
	return &LogBuffer{
		out: w, limit: maxBuffered, retry: writeRetry,
		notice: func(lines uint64) []byte {
			line.Reset()
			notices.Warn("log lines are missing here: stderr was full, closed or too slow", "lines", lines)
			return line.Bytes()
		},
		wake: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{}),
	}
}

// Write takes one line. It always succeeds; the line is dropped if the buffer is full.
func (b *LogBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return len(line), nil
	}
	if len(b.waiting)+b.writing+len(line) > b.limit {
		b.missing++
		b.dropped++
		return len(line), nil
	}
	b.reportMissing()
	b.waiting = append(b.waiting, line...)
	b.wakeUp()
	return len(line), nil
}

// Dropped is the number of lines that were dropped.
func (b *LogBuffer) Dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

// Close writes the lines that are held. It waits at most closeTimeout for the output; lines that are not written then,
// and later ones, are lost.
func (b *LogBuffer) Close() {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.mu.Unlock()
	if first {
		close(b.ending)
		b.wakeUp()
	}
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	select {
	case <-b.done:
	case <-timeout.C:
	}
}

// reportMissing adds the line that reports missing lines, if there are any. The caller holds the lock.
func (b *LogBuffer) reportMissing() {
	if b.missing > 0 {
		b.waiting = append(b.waiting, b.notice(b.missing)...)
		b.missing = 0
	}
}

func (b *LogBuffer) wakeUp() {
	select {
	case b.wake <- struct{}{}:
	default: // it is awake already
	}
}

// run writes until the buffer is closed and empty, or closed and the output refuses the rest.
func (b *LogBuffer) run() {
	defer close(b.done)
	for {
		batch, closed := b.take()
		switch {
		case len(batch) > 0:
			if !b.write(batch) {
				return
			}
		case closed:
			return
		default:
			<-b.wake
		}
	}
}

// take returns the bytes that wait, and whether the buffer is closed.
func (b *LogBuffer) take() (batch []byte, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reportMissing()
	if len(b.waiting) > 0 {
		batch = b.waiting
		b.waiting, b.spare, b.writing = b.spare, nil, len(batch)
	}
	return batch, b.closed
}

// write writes a batch, and repeats what fails. It gives up, and returns false, after an error of a closed buffer.
func (b *LogBuffer) write(batch []byte) bool {
	for rest := batch; len(rest) > 0; {
		closed := b.isEnding()
		n, err := b.out.Write(rest)
		rest = rest[max(n, 0):]
		b.accepted(len(rest), batch)
		if err == nil {
			continue
		}
		if closed {
			return false
		}
		pause := time.NewTimer(b.retry)
		select {
		case <-pause.C:
		case <-b.ending:
		}
		pause.Stop()
	}
	return true
}

func (b *LogBuffer) isEnding() bool {
	select {
	case <-b.ending:
		return true
	default:
		return false
	}
}

// accepted records how many bytes of the batch the output has not accepted. A batch that is written becomes the spare
// buffer.
func (b *LogBuffer) accepted(left int, batch []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writing = left
	if left == 0 && cap(batch) <= maxSpare {
		b.spare = batch[:0]
	}
}
