//go:build soak

package main

import "testing"

// 200 dumps, at random moments.
func TestSoakDumps(t *testing.T) { dumpBesideTheService(t, 200) }
