package doctor

import (
	"crypto/tls"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/terminal"
)

// describe says how the connection is made: server, TLS, user, account, and which JetStream answers. What is unknown is
// left out; info may be nil.
func (n *prober) describe(user natsUser, info *jetstream.AccountInfo) string {
	text := n.nc.ConnectedServerName()
	if cluster := n.nc.ConnectedClusterName(); cluster != "" {
		text += " of cluster " + cluster
	}
	text += " at " + n.nc.ConnectedAddr()
	if state, err := n.nc.TLSConnectionState(); err == nil {
		text += ", " + tls.VersionName(state.Version)
		if n.c.NATSTLSFirst {
			text += " first"
		}
	}
	kind := n.c.NATSLogin()
	switch {
	case kind == "token", user.User == "": // the server reports a token as the user
		text += fmt.Sprintf(", login by %s", kind)
	default:
		text += fmt.Sprintf(", user %s by %s", user.User, kind)
	}
	if user.Account != "" {
		text += ", account " + user.Account
	}
	if info != nil && info.Domain != "" {
		text += ", JetStream domain " + info.Domain
	}
	if n.c.NATSPrefix != "" {
		text += ", JetStream API " + n.c.NATSPrefix
	}
	if n.c.NATSContext != "" {
		text += ", context " + n.c.NATSContext
	}
	return terminal.Plain(text)
}
