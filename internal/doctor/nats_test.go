package doctor

import (
	"testing"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestDoctorOfNATSVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"2.10.3": Fault, "2.9.25": Fault, "1.4.1": Fault, "2.10.4": OK, "2.10.4-RC.1": OK, "2.15.2": OK,
		"3.0.0-dev": OK, "v2.9.0": Fault, "ours": OK,
	} {
		testkit.Equal(t, version, checkNATSVersion("nats", version).Status, want)
	}
}

// A leaf node of the account answers for its own connection too. Only the answer of the own server counts.
func TestUserAsTheOwnServerKnowsIt(t *testing.T) {
	t.Parallel()
	s := natstest.StartConfigured(t, "accounts { A { users: [{user: me, password: pw}, {user: leaf, password: pw}] } }")
	connect := func(user string) *nats.Conn {
		nc, err := nats.Connect(s.URL, nats.UserInfo(user, "pw"))
		testkit.Must(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	leaf := connect("leaf")
	_, err := leaf.Subscribe(userInfoSubject, func(msg *nats.Msg) {
		_ = msg.Respond([]byte(`{"server": {"id": "OTHER", "domain": "leaf"}, "data": {"user": "leaf", "account": "B"}}`))
	})
	testkit.Must(t, err)
	testkit.Must(t, leaf.Flush())
	n := &prober{nc: connect("me")}
	for range 100 {
		user, err := n.readUser(t.Context())
		testkit.Must(t, err)
		testkit.Equal(t, "user", user.User, "me")
		testkit.Equal(t, "in the domain", n.inDomain, true)
	}
}
