package main

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/term"
)

// screen is a terminal with a block of lines at its end that is drawn again and again. What is written to the
// screen meanwhile, such as a log, comes to stand above the block. A line must not be wider than the terminal.
type screen struct {
	onTerminal
	mu    sync.Mutex
	block []string
	drawn int // lines of it that are there
}

// Write writes whole lines above the block.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.paint(string(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// draw replaces the block; no lines remove it. A screen that cannot be drawn on harms nobody.
func (s *screen) draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.block = lines
	s.paint("") //nolint:errcheck // as it says
}

// paint erases the block, writes text in its place and draws the block behind it, at one go: nothing flickers.
func (s *screen) paint(text string) error {
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
	_, err := s.onTerminal.Write([]byte(b.String()))
	return err
}
