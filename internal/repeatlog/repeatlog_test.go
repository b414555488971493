package repeatlog

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// logTest is a log on a fake clock, and what it has written.
type logTest struct {
	*Log
	written bytes.Buffer
}

func runTest(t *testing.T, build func(*slog.Logger) *Log, test func(t *testing.T, r *logTest)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &logTest{}
		r.Log = build(slog.New(slog.NewTextHandler(&r.written, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		})))
		test(t, r)
	})
}

func (r *logTest) fail(text string) {
	r.Warn("cannot do it; retrying", errors.New(text))
}

// wrote asserts what was logged since the last call.
func (r *logTest) wrote(t *testing.T, lines ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var want strings.Builder
	for _, l := range lines {
		want.WriteString("level=" + l + "\n")
	}
	if got := r.written.String(); got != want.String() {
		t.Errorf("got\n%s\nwant\n%s", got, want.String())
	}
	r.written.Reset()
}

func TestRepeatedFaultIsLoggedOnce(t *testing.T) {
	runTest(t, New, func(t *testing.T, r *logTest) {
		r.Recovered("it works again") // without a fault
		r.wrote(t)
		for range 100 {
			r.fail("refused")
			time.Sleep(time.Second)
		}
		r.wrote(t, `WARN msg="cannot do it; retrying" error=refused`)
		r.fail("no route")
		r.wrote(t, `WARN msg="cannot do it; retrying" error="no route" not_logged=99`)
		for range 3 { // both are known
			r.fail("no route")
			r.fail("refused")
		}
		r.wrote(t)
		r.Recovered("it works again")
		r.wrote(t, `INFO msg="it works again" failures=107 lasted=1m40s`)
		r.Recovered("it works again")
		r.wrote(t)
		r.fail("refused") // a new episode
		r.Recovered("it works again")
		r.wrote(t, `WARN msg="cannot do it; retrying" error=refused`, `INFO msg="it works again" failures=1 lasted=0s`)
	})
}

// Message and error identify a fault; level and further attributes do not.
func TestSameFault(t *testing.T) {
	runTest(t, New, func(t *testing.T, r *logTest) {
		r.Error("a", errors.New("x"), "again_in", "1s")
		r.Warn("a", errors.New("x"), "again_in", "2s")
		r.Warn("b", errors.New("x"))
		r.Warn("b", nil)
		r.Warn("b", nil)
		r.wrote(t, `ERROR msg=a error=x again_in=1s`, `WARN msg=b error=x not_logged=1`, `WARN msg=b`)
	})
}

// A part of the text that differs each time does not make it another fault. A part that names a server does.
func TestVariablePartsOfAFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		texts [2]string
		same  bool
	}{
		"own port": {[2]string{
			"read tcp 10.0.0.5:40312->10.0.0.9:5432: read: connection reset by peer",
			"read tcp 10.0.0.5:51944->10.0.0.9:5432: read: connection reset by peer",
		}, true},
		"random name": {[2]string{
			"schema tenant_zpb6neowstabea2ke6axl4fn7o: permission denied",
			"schema tenant_yomqw7ghlhl5lyongq4htgt6vg: permission denied",
		}, true},
		"UUID": {[2]string{
			"registry 1b4e28ba-2fa1-11d2-883f-0016d3cca427 is another",
			"registry 0a5c1f3e-9d2b-4c7e-8f6a-3b2d1e0f9c8b is another",
		}, true},
		"temporary directory": {[2]string{
			"mkdir /data/.rehearsal-3829104756: read-only file system",
			"mkdir /data/.rehearsal-982710465: read-only file system",
		}, true},
		"process id": {[2]string{"Process 1829304 waits", "Process 1829377 waits"}, true},
		"other server": {[2]string{
			"dial tcp 10.0.0.9:5432: connect: connection refused",
			"dial tcp 10.0.0.10:5432: connect: connection refused",
		}, false},
		"other port": {[2]string{
			"dial tcp 127.0.0.1:5432: connect: connection refused",
			"dial tcp 127.0.0.1:6432: connect: connection refused",
		}, false},
		"other SQLSTATE": {[2]string{"ERROR: refused (SQLSTATE 42501)", "ERROR: refused (SQLSTATE 53300)"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			runTest(t, New, func(t *testing.T, r *logTest) {
				r.fail(c.texts[0])
				r.fail(c.texts[1])
				if lines := strings.Count(r.written.String(), "\n"); lines != 1 && c.same || lines != 2 && !c.same {
					t.Errorf("%d lines:\n%s", lines, r.written.String())
				}
			})
		})
	}
}

// Texts that differ each time, for example by the id of a message, are logged once a minute.
func TestTextsThatAlwaysDiffer(t *testing.T) {
	runTest(t, New, func(t *testing.T, r *logTest) {
		const seconds = 600
		for i := range seconds {
			r.fail(fmt.Sprint("no permission for ", i))
			time.Sleep(time.Second)
		}
		lines := strings.Count(r.written.String(), "\n")
		if most := maxTexts + seconds/60; lines < maxTexts || lines > most {
			t.Errorf("%d lines, want at most %d", lines, most)
		}
		if !strings.Contains(r.written.String(), "not_logged=59") {
			t.Error(r.written.String())
		}
		if n := len(r.texts); n != maxTexts {
			t.Errorf("%d texts are kept", n)
		}
	})
}

// Long texts are one fault if the log truncates them to the same text, and are not kept whole.
func TestLongTexts(t *testing.T) {
	runTest(t, New, func(t *testing.T, r *logTest) {
		for i := range 3 {
			r.fail(strings.Repeat("x", 900_000) + fmt.Sprint(i))
		}
		if n := strings.Count(r.written.String(), "\n"); n != 1 {
			t.Errorf("%d lines", n)
		}
		if n := len(r.texts[0]); n > maxText {
			t.Errorf("%d bytes are kept", n)
		}
	})
}

func TestEpisodeEndsByQuiet(t *testing.T) {
	const none = "no more faults"
	runTest(t, func(l *slog.Logger) *Log { return NewWithQuiet(l, time.Minute, none) }, func(t *testing.T, r *logTest) {
		r.fail("refused")
		time.Sleep(2 * time.Minute)
		r.wrote(t, `WARN msg="cannot do it; retrying" error=refused`) // a single fault needs no end
		for range 4 {
			r.fail("refused")
			time.Sleep(30 * time.Second)
		}
		r.wrote(t, `WARN msg="cannot do it; retrying" error=refused`)
		time.Sleep(31 * time.Second)
		r.wrote(t, `INFO msg="no more faults" failures=4 lasted=1m30s`)
		r.fail("refused")
		r.Recovered("reconnected") // or when recovery is reported
		time.Sleep(2 * time.Minute)
		r.wrote(t, `WARN msg="cannot do it; retrying" error=refused`, `INFO msg=reconnected failures=1 lasted=0s`)
	})
}

func TestConcurrentFailures(t *testing.T) {
	runTest(t, New, func(t *testing.T, r *logTest) {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 100 {
					r.fail("refused")
				}
			})
		}
		all.Wait()
		r.Recovered("it works again")
		r.wrote(t, `WARN msg="cannot do it; retrying" error=refused`, `INFO msg="it works again" failures=1000 lasted=0s`)
	})
}
