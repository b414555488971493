package telemetry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// logOutput is the output of a log, which can hang, or refuse writes after the next few bytes.
type logOutput struct {
	mu      sync.Mutex
	text    strings.Builder
	hangs   chan struct{} // nil: it does not; closed: it no longer does
	refuses error
	accepts int // bytes, before it refuses
}

func (o *logOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	hangs := o.hangs
	o.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refuses != nil {
		n := min(o.accepts, len(p))
		o.accepts = 0
		o.text.Write(p[:n])
		return n, o.refuses
	}
	return o.text.Write(p)
}

func (o *logOutput) set(change func(*logOutput)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

func (o *logOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// bufferedLog returns a logger with a small buffer.
func bufferedLog(out io.Writer, limit int) (*slog.Logger, *LogBuffer) {
	b := newLogBuffer(out, "json")
	b.limit = limit
	go b.run()
	return NewLogger(b, slog.LevelInfo, "json"), b
}

// lines returns the numbers of the logged lines and, in their place, how many are reported missing as a negative number.
func lines(t *testing.T, text string) (numbers []int) {
	t.Helper()
	for line := range strings.Lines(text) {
		var fields struct {
			Msg      string
			N, Lines int
		}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("not a JSON line: %q", line)
		}
		if strings.HasPrefix(fields.Msg, "log lines are missing") {
			fields.N = -fields.Lines
		}
		numbers = append(numbers, fields.N)
	}
	return numbers
}

// complete asserts that every line from 1 to last is in the log or reported missing, in order.
func complete(t *testing.T, text string, last int) (missing int) {
	t.Helper()
	next := 1
	for _, n := range lines(t, text) {
		switch {
		case n < 0:
			missing -= n
			next -= n
		case n == next:
			next++
		default:
			t.Fatalf("line %d, want %d:\n%s", n, next, testkit.Tail(text))
		}
	}
	testkit.Equal(t, "the last line", next-1, last)
	return missing
}

// A reader that stops reading does not stop the program. What is lost is counted, and reported in its place.
func TestSlowLogReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &logOutput{hangs: make(chan struct{})}
		log, b := bufferedLog(out, 10_000)
		defer b.Close()
		const first = 1000
		for n := range first {
			log.Info("m", "n", n+1) // does not block
		}
		synctest.Wait()
		testkit.Equal(t, "the log", out.String(), "")
		dropped := int(b.Dropped())
		if dropped == 0 || dropped == first {
			t.Fatalf("%d lines are dropped", dropped)
		}
		close(out.hangs)
		synctest.Wait() // the report does not wait for the next line
		testkit.Equal(t, "reported", complete(t, out.String(), first), dropped)
		log.Info("m", "n", first+1)
		synctest.Wait()
		testkit.Equal(t, "reported", complete(t, out.String(), first+1), dropped)
		testkit.Equal(t, "dropped", int(b.Dropped()), dropped)
	})
}

// A write that fails, after a part of it, is repeated: no line is torn, and nothing is lost while there is room.
func TestLogOutputRefusesWrites(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.ENOSPC, syscall.EPIPE, syscall.EIO, syscall.EAGAIN, errors.New("any")} {
		t.Run(err.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				out := &logOutput{refuses: err, accepts: 30}
				log, b := bufferedLog(out, 100_000)
				defer b.Close()
				for n := range 10 {
					log.Info("m", "n", n+1)
					time.Sleep(time.Minute)
				}
				testkit.Equal(t, "the log has a part of a line", len(out.String()), 30)
				out.set(func(o *logOutput) { o.refuses = nil })
				time.Sleep(2 * writeRetry)
				testkit.Equal(t, "reported", complete(t, out.String(), 10), 0)
			})
		})
	}
}

func TestLogBufferIsWrittenAtTheEnd(t *testing.T) {
	t.Parallel()
	out := &logOutput{}
	log, b := NewBufferedLogger(out, slog.LevelInfo, "json")
	log.Info("m", "n", 1)
	b.Close()
	b.Close()
	log.Info("too late")
	testkit.Equal(t, "lines", len(lines(t, out.String())), 1)
}

// The end of the program does not wait for a reader that hangs, or for a disk.
func TestLogBufferEndsInTime(t *testing.T) {
	t.Parallel()
	for name, out := range map[string]*logOutput{
		"hangs": {hangs: make(chan struct{})}, "refuses": {refuses: syscall.ENOSPC},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if out.hangs != nil {
					out.hangs = make(chan struct{}) // of this bubble
				}
				log, b := NewBufferedLogger(out, slog.LevelInfo, "json")
				log.Info("m")
				synctest.Wait()
				began := time.Now()
				b.Close()
				if took := time.Since(began); took > closeTimeout {
					t.Errorf("Close took %s", took)
				}
				if out.hangs != nil {
					close(out.hangs)
				}
				<-b.done
			})
		})
	}
}

func TestConcurrentLogging(t *testing.T) {
	t.Parallel()
	out := &logOutput{}
	log, b := bufferedLog(out, 5000)
	const writers, each = 8, 500
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				log.Info("m", "n", 1)
			}
		})
	}
	all.Wait()
	b.Close()
	written := 0
	for _, n := range lines(t, out.String()) {
		written += max(n, -n)
	}
	testkit.Equal(t, "written or reported", written, writers*each)
}

func TestDroppedLinesAreReportedInTheFormat(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"json": `"level":"WARN","msg":"log lines are missing`, "text": `level=WARN msg="log lines are missing`} {
		testkit.Contains(t, format, string(newLogBuffer(nil, format).notice(7)), want, fmt.Sprint(7))
	}
}
