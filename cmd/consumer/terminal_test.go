package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// testScreen is a pseudo terminal, and the text that it shows.
type testScreen struct {
	tty  *os.File // for the program
	keys *os.File // what is written to it is typed
	rows int
	done chan struct{}

	mu    sync.Mutex
	raw   strings.Builder
	lines [][]rune
	row   int
	col   int
	fault string
	rest  []byte // of an incomplete character or sequence
}

func newTerminal(t *testing.T, columns, rows uint16) *testScreen {
	t.Helper()
	master, tty, err := pty.Open()
	testkit.Must(t, err)
	testkit.Must(t, pty.Setsize(master, &pty.Winsize{Rows: rows, Cols: columns}))
	s := &testScreen{tty: tty, keys: master, rows: int(rows), done: make(chan struct{}), lines: [][]rune{nil}}
	go func() {
		defer close(s.done)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			s.interpret(buffer[:n])
			if err != nil { // EIO, once the other end is closed
				return
			}
		}
	}()
	t.Cleanup(func() {
		tty.Close() // a test may have done so
		<-s.done
		testkit.Must(t, master.Close())
		if s.fault != "" {
			t.Errorf("the terminal received %s", s.fault)
		}
	})
	return s
}

// sequence matches the control sequences that the program may send.
var sequence = regexp.MustCompile(`^\x1b\[([0-9;]*)([A-Za-z])`)

// interpret does what a terminal does, as far as this program needs it. Anything else is a fault.
func (s *testScreen) interpret(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(text)
	left := string(s.rest) + string(text)
	for left != "" {
		if left[0] == 0x1b {
			m := sequence.FindStringSubmatch(left)
			if m == nil {
				break // the rest follows
			}
			left = left[len(m[0]):]
			s.control(m[1], m[2])
			continue
		}
		r := []rune(left)[0]
		if r == '\uFFFD' {
			break
		}
		left = left[len(string(r)):]
		s.put(r)
	}
	s.rest = []byte(left)
}

func (s *testScreen) control(argument, command string) {
	n, _ := strconv.Atoi(argument)
	switch command {
	case "m": // a colour
	case "A":
		s.row = max(s.row-max(n, 1), len(s.lines)-s.rows, 0) // no further than its top
	case "J":
		s.lines = s.lines[:s.row+1]
		s.lines[s.row] = s.lines[s.row][:min(s.col, len(s.lines[s.row]))]
	case "K":
		s.lines[s.row] = s.lines[s.row][:min(s.col, len(s.lines[s.row]))]
		if argument == "2" {
			s.lines[s.row] = nil
		}
	default:
		s.fault = fmt.Sprintf("ESC [ %s %s", argument, command)
	}
}

func (s *testScreen) put(r rune) {
	switch {
	case r == '\r':
		s.col = 0
	case r == '\n':
		s.row++
		if s.row == len(s.lines) {
			s.lines = append(s.lines, nil)
		}
	case r < ' ':
		s.fault = fmt.Sprintf("%q", r)
	default:
		for len(s.lines[s.row]) <= s.col {
			s.lines[s.row] = append(s.lines[s.row], ' ')
		}
		s.lines[s.row][s.col] = r
		s.col++
	}
}

// text returns the text on the screen, without spaces at the ends of lines.
func (s *testScreen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, line := range s.lines {
		all = append(all, strings.TrimRight(string(line), " "))
	}
	return strings.TrimRight(strings.Join(all, "\n"), "\n")
}

// sent returns every byte that was sent so far.
func (s *testScreen) sent() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

var colorCodes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// command runs a command with its standard input, output and error on the terminal, unless other outputs are given.
func (s *testScreen) command(t *testing.T, env map[string]string, stdout, stderr io.Writer, args ...string) int {
	t.Helper()
	if stdout == nil {
		stdout = s.tty
	}
	if stderr == nil {
		stderr = s.tty
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("consumer %v on a terminal:\n%s", args, testkit.Tail(s.text()))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	return realMain(ctx, args, envconfig.MapLookuper(env), s.tty, stdout, stderr)
}

// closeTTY closes the terminal for the program, and waits until all is shown.
func (s *testScreen) closeTTY(t *testing.T) {
	t.Helper()
	testkit.Must(t, s.tty.Close())
	select {
	case <-s.done:
	case <-time.After(testkit.Patience):
		t.Fatal("the terminal does not close")
	}
}

// A bar shows what it counts, the rate and the time; it is erased before other output, and fits the terminal.
func TestBarsOnATerminal(t *testing.T) {
	t.Parallel()
	for term, drawn := range map[string]bool{"xterm": true, "dumb": false} {
		s := newTerminal(t, 70, 24)
		a := &app{terminal.IO{Env: envconfig.MapLookuper(with("TERM", term)), Out: s.tty, Err: s.tty}}
		bar := a.ProgressBar(4, "verifying", "tenants")
		testkit.Must(t, bar.Add(1))
		if drawn {
			testkit.Eventually(t, "the bar is drawn", func() bool { return strings.Contains(s.text(), "s:") })
			testkit.Contains(t, "the bar", s.text(), "verifying  25%", "(1/4, ", " tenants/")
			if line := s.text(); terminal.Width(line) > 70 {
				t.Errorf("%d columns: %s", terminal.Width(line), line)
			}
		}
		testkit.Must(t, bar.Clear())
		s.closeTTY(t)
		testkit.Equal(t, "the screen", s.text(), "")
		testkit.Equal(t, "TERM="+term+": something was drawn", s.sent() != "", drawn)
	}
}

// Only terminals that allow colours get them: the writer decides, not the process.
func TestColours(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env        map[string]string
		wantColour bool
	}{
		"a terminal":                {nil, true},
		"NO_COLOR":                  {with("NO_COLOR", "1"), false},
		"NO_COLOR, but empty":       {with("NO_COLOR", ""), true},
		"TERM=dumb":                 {with("TERM", "dumb"), false},
		"TERM=dumb, CLICOLOR_FORCE": {map[string]string{"TERM": "dumb", "CLICOLOR_FORCE": "1"}, true},
		"NO_COLOR, CLICOLOR_FORCE":  {map[string]string{"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, false},
		"CLICOLOR_FORCE=0":          {with("CLICOLOR_FORCE", "0"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTerminal(t, 100, 24)
			testkit.Equal(t, "exit code", s.command(t, c.env, nil, nil, "demo"), 0)
			s.closeTTY(t)
			testkit.Contains(t, "the screen", s.text(), "✓ tenant.provisioned acme", "✗ tenant.provisioning_failed")
			green, red := "\x1b[32m✓\x1b[0m", "\x1b[31m✗\x1b[0m"
			if got := strings.Contains(s.sent(), green) && strings.Contains(s.sent(), red); got != c.wantColour {
				t.Errorf("coloured: %t\n%q", got, testkit.Tail(s.sent()))
			}
			if !c.wantColour && strings.Contains(s.sent(), "\x1b") {
				t.Errorf("control codes:\n%q", testkit.Tail(s.sent()))
			}
		})
	}
	for env, wantColour := range map[string]bool{"TERM": false, "CLICOLOR_FORCE": true} {
		code, stdout, _ := command(t, with(env, "xterm"), "demo")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "piped, with "+env, strings.Contains(stdout, "\x1b"), wantColour)
	}
}
