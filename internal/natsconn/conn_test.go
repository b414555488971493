package natsconn

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// An error of every message is logged once, or a few times if its text names the message.
func TestNATSErrorsAreCounted(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"denied.>"}},
		}}}
	})
	var written testkit.Output
	link, err := Connect(t.Context(), config.Config{NATSURL: strings.Replace(url, "://", "://u:p@", 1)}, nil,
		slog.New(slog.NewJSONHandler(&written, nil)), false)
	testkit.Must(t, err)
	defer link.Close(t.Context())
	nc := link.Conn()
	lines := func() int { return strings.Count(written.String(), "denied.") }
	for range 100 {
		testkit.Must(t, nc.Publish("denied.same", nil))
	}
	testkit.Must(t, nc.Flush())
	testkit.Eventually(t, "the error is logged", func() bool { return lines() > 0 })
	for i := range 1000 {
		testkit.Must(t, nc.Publish(fmt.Sprint("denied.", i), nil))
	}
	testkit.Must(t, nc.Publish("denied.last", nil))
	testkit.Must(t, nc.Flush())
	testkit.Eventually(t, "the last error is received", func() bool {
		err := nc.LastError()
		return err != nil && strings.Contains(err.Error(), "denied.last")
	})
	if n := lines(); n > 20 {
		t.Errorf("%d lines for 1101 errors", n)
	}
}
