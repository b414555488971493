//go:build soak

package main

import "testing"

// The whole freeze matrix: with an intact connection to NATS, and with one that the server has closed.
func TestSoakFrozenReplica(t *testing.T) {
	cases := frozenCases()
	for _, c := range frozenCases() {
		if !c.blocksOthers && (c.then.remove || c.then.replay) {
			c.drop = true
			c.name += ", connection lost"
			cases = append(cases, c)
		}
	}
	t.Logf("%d cases", len(cases))
	runFrozen(t, 8, cases)
}
