//go:build soak

package main

import "testing"

// The whole crash matrix with a synchronous standby.
func TestSoakServiceAndServerAreLost(t *testing.T) {
	t.Parallel()
	for _, c := range failedOverCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}
