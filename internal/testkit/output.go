package testkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Output is what a running command has written so far.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Logged waits for a line of the JSON log with this message and returns the attribute.
func Logged(t *testing.T, from fmt.Stringer, message, attribute string) (value string) {
	t.Helper()
	Eventually(t, "the log says "+message, func() bool {
		for line := range strings.Lines(from.String()) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == message {
				value = fmt.Sprint(fields[attribute])
				return true
			}
		}
		return false
	})
	return value
}
