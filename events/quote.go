package events

import "fmt"

// Quote formats untrusted text for a message: quoted, with control characters escaped, at most 64 characters of it.
func Quote(s string) string {
	const limit = 64
	n := 0
	for end := range s {
		if n == limit {
			return fmt.Sprintf("%q… (%d bytes)", s[:end], len(s))
		}
		n++
	}
	return fmt.Sprintf("%q", s)
}
