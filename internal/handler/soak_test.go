//go:build soak

package handler

import "testing"

func TestSoakNoPullRequestIsLost(t *testing.T) { checkPulls(t, 50) }
