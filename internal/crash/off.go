//go:build !crashpoints

package crash

// Point names a place at which a test build can be killed or frozen. The second argument is the subject of the work
// there.
func Point(_, _ string) {}
