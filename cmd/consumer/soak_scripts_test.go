//go:build soak

package main

import "testing"

// The crash matrix of prepared boundaries with scripts and seed data, at every point. Each start of the service compiles
// PostgreSQL's grammar, which takes seconds.
func TestSoakKilledWithScriptsInPreparedBoundaries(t *testing.T) {
	t.Parallel()
	killWithScriptsInPool(t, []string{
		"boundary taken", "step 5 ended", "step 6 ended", "step 7 ended", "outcome allowed", "boundary prepared", "boundary pooled",
	})
}
