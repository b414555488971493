package handler

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// A trial creates no stream, and is refused as a creation would be.
func TestTryCreateCreatesNothing(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]time.Duration{"no limit": 0, "a limit": 2 * time.Minute} {
		s := startNATS(t, func(o *server.Options) { o.JetStreamLimits.Duplicates = limit })
		js, err := jetstream.New(s.connect(t))
		testkit.Must(t, err)
		for _, want := range managed.streams() {
			tried := managed.TryCreate(t.Context(), js, want.Name)
			if _, err := js.Stream(t.Context(), want.Name); !errors.Is(err, jetstream.ErrStreamNotFound) {
				t.Fatalf("%s: %s exists: %v", name, want.Name, err)
			}
			_, created := createStream(t.Context(), js, want)
			if (tried == nil) != (created == nil) || tried != nil && tried.Error() != created.Error() {
				t.Errorf("%s: the trial of %s says %v, its creation %v", name, want.Name, tried, created)
			}
			testkit.Must(t, managed.TryCreate(t.Context(), js, events.StreamRequests)) // it exists by then
		}
	}
}

// Without the permission to ask for the other stream, the error says how an administrator finds it.
func TestOverlapWithoutPermission(t *testing.T) {
	t.Parallel()
	s := startNATS(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.NAMES"}},
		}}}
		o.NoAuthUser = "u"
	})
	js, err := jetstream.New(s.connect(t))
	testkit.Must(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"tenant.provisioned"}})
	testkit.Must(t, err)
	err = managed.Ensure(t.Context(), js)
	Contains(t, "Ensure", err, events.StreamEvents, "overlap", "nats stream ls --subject='tenant.provisioned'")
}

// docs/deploying.md has the commands that errors name.
func TestCommandsThatCreateStreamsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/deploying.md")
	testkit.Must(t, err)
	for _, stream := range managed.streams() {
		testkit.Contains(t, "docs/deploying.md", strings.ReplaceAll(string(text), "\\\n  ", ""), addCommand(stream))
	}
}
