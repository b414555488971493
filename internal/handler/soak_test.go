//go:build soak

package handler

import "testing"

func TestSoakNoPullRequestIsForgotten(t *testing.T) { rememberPulls(t, 50) }
