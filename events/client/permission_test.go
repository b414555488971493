package client_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// A user who may not subscribe to the connection's inbox receives no reply: the error names what to do.
func TestInboxThatIsNotTheUsers(t *testing.T) {
	t.Parallel()
	s := natstest.StartConfigured(t, `accounts { A { jetstream: enabled, users: [
		{user: me, password: pw, permissions: { publish: ">", subscribe: "_INBOX_me.>" }} ] } }`)
	nc, err := nats.Connect(s.URL, nats.UserInfo("me", "pw"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	testkit.Must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	testkit.Must(t, err)
	_, err = client.Open(patient(t), js)
	if !errors.Is(err, nats.ErrPermissionViolation) {
		t.Fatal(err)
	}
	testkit.Contains(t, "error", err.Error(), "nats.CustomInboxPrefix")
}
