//go:build !crashpoints

package crash

// Point is a place at which a test build can be killed; about says with what in hand.
func Point(place, about string) {}
