package terminal

import (
	"bufio"
	"context"
	"fmt"
	"strings"
)

// CanAsk reports whether a person can read a question on Err and answer it on In.
func (t IO) CanAsk() bool { return IsTerminal(t.In) && IsTerminal(t.Err) }

// Confirm asks a question on Err, and reports whether the line that it reads from In is y or yes. It fails if ctx ends
// first.
func (t IO) Confirm(ctx context.Context, question string) (bool, error) {
	if _, err := fmt.Fprintf(t.Err, "%s [y/N] ", question); err != nil {
		return false, err
	}
	answer := make(chan string, 1)
	// A read from a terminal cannot be interrupted. If ctx ends first, it ends with the process.
	go func() {
		line, err := bufio.NewReader(t.In).ReadString('\n')
		if err != nil { // such as the end of the input: not a whole line
			line = ""
		}
		answer <- line
	}()
	var line string
	select {
	case line = <-answer:
	case <-ctx.Done():
	}
	if line == "" { // the cursor is behind the question
		fmt.Fprintln(t.Err) //nolint:errcheck // the question was written
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, context.Cause(ctx)
}
