package natsconn

import (
	"fmt"
	"slices"
	"strings"
)

// Oldest is the oldest server that works: the first one that accepts +TERM with a reason, which ends every failed
// request. An older one takes it for an unknown acknowledgement and redelivers the request for ever. (nats-server, pull
// request 4697) What else the service uses is older: named consumers and their updates (2.10.0), heartbeats of pull
// requests, delayed negative acknowledgements, and the expected last sequence of a subject.
const Oldest = "2.10.4"

// TooOldError means that the server is older than [Oldest]. Waiting does not help.
type TooOldError struct{ Server, Version string }

func (e *TooOldError) Error() string {
	return fmt.Sprintf("NATS server %s has version %s, which is too old: it redelivers failed requests for ever; "+
		"upgrade it to %s or later", e.Server, e.Version, Oldest)
}

// CheckVersion returns a [TooOldError] for a server that is older than [Oldest]. A version of another form is not
// judged.
func CheckVersion(server, version string) error {
	if isOlder(version, Oldest) {
		return &TooOldError{server, version}
	}
	return nil
}

// firstWithPause is the first server that can pause a consumer.
const firstWithPause = "2.11.0"

// CanPause reports whether a server of this version can pause a consumer.
func CanPause(version string) bool { return !isOlder(version, firstWithPause) }

// isOlder compares two versions. A version of another form is not older.
func isOlder(version, than string) bool {
	a, aOK := numbers(version)
	b, bOK := numbers(than)
	return aOK && bOK && slices.Compare(a, b) < 0
}

// numbers are those of a version such as 2.10.4 or 2.11.0-RC.1.
func numbers(version string) (_ []int, ok bool) {
	n := make([]int, 3)
	_, err := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d.%d", &n[0], &n[1], &n[2])
	return n, err == nil
}
