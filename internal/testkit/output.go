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
	Eventually(t, "the log has "+message, func() bool {
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

// Logs waits until the log has every part. A fault may first be detected without its reason, and is logged after
// /readyz reports it.
func Logs(t *testing.T, from fmt.Stringer, parts ...string) {
	t.Helper()
	for _, part := range parts {
		Eventually(t, "the log has "+part, func() bool { return strings.Contains(from.String(), part) })
	}
}
