package terminal

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Live is a terminal with a block of lines at its end that is redrawn. What is written in the meantime, such as a log,
// appears above the block. A line must not be wider than the terminal.
type Live struct {
	File
	mu    sync.Mutex
	block []string
	drawn int // how many lines are on the terminal
}

// Write writes whole lines above the block.
func (s *Live) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.paint(string(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Draw replaces the block; without lines it removes it. Errors are ignored: the block is not a result.
func (s *Live) Draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.block = lines
	s.paint("") //nolint:errcheck // see above
}

// paint erases the block, writes text in its place and draws the block below it, in one write, so that nothing
// flickers.
func (s *Live) paint(text string) error {
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.drawn)
	}
	b.WriteString(text)
	// What has left the terminal at its top cannot be erased.
	block := s.block
	if _, rows, err := term.GetSize(int(s.Fd())); err == nil && rows > 1 {
		block = block[max(0, len(block)-rows+1):]
	}
	for _, line := range block {
		b.WriteString(line + "\n")
	}
	s.drawn = len(block)
	_, err := s.File.Write([]byte(b.String()))
	return err
}

// Live returns a live block on Err, or nil where Out and Err are not both interactive.
func (t IO) Live() *Live {
	terminal, ok := t.Err.(File)
	if !ok || !t.IsInteractive(t.Err) || !t.IsInteractive(t.Out) {
		return nil
	}
	return &Live{File: terminal}
}
