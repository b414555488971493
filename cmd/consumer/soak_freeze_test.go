//go:build soak

package main

import "testing"

// The whole freeze matrix: with the connection to NATS as it was, and with one that the server has given up in the
// meantime.
func TestSoakFrozenReplica(t *testing.T) {
	cases := frozenCases()
	for _, c := range frozenCases() {
		if !c.waits && (c.then.remove || c.then.replay) {
			c.drop = true
			c.name += ", connection lost"
			cases = append(cases, c)
		}
	}
	t.Logf("%d cases", len(cases))
	runFrozen(t, 8, cases)
}
