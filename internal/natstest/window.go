package natstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/testkit"
)

// PassDuplicateWindow makes a stream, which holds the subject, forget its message ids, as after its duplicate window.
// Settings and messages of the stream stay as they were.
func PassDuplicateWindow(t testing.TB, js jetstream.JetStream, name, subject string) {
	t.Helper()
	const shortest = 100 * time.Millisecond // that the server allows
	stream, err := js.Stream(t.Context(), name)
	testkit.Must(t, err)
	probe := func() (known bool) {
		t.Helper()
		msg := nats.NewMsg(subject)
		msg.Header.Set(jetstream.MsgIDHeader, "probe")
		ack, err := js.PublishMsg(t.Context(), msg)
		testkit.Must(t, err)
		if !ack.Duplicate {
			testkit.Must(t, stream.DeleteMsg(t.Context(), ack.Sequence))
		}
		return ack.Duplicate
	}
	set := func(window time.Duration) {
		t.Helper()
		config := stream.CachedInfo().Config
		config.Duplicates = window
		_, err := js.UpdateStream(t.Context(), config)
		testkit.Must(t, err)
	}
	probe()
	// An update starts the timer that removes ids. It may fire before the new window is in place, and then not before the
	// earlier window has passed, so that one update is not enough. (nats-server 2.15.2, stream.go, update and purgeMsgIds)
	window := shortest
	testkit.Eventually(t, "the stream has forgotten the ids", func() bool {
		window = 2*shortest + time.Millisecond - window
		set(window)
		return !probe()
	})
	set(stream.CachedInfo().Config.Duplicates)
}
