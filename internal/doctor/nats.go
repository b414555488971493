package doctor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/terminal"
)

const (
	// natsRequestTimeout bounds one request to NATS.
	natsRequestTimeout = 5 * time.Second
	// natsSilence ends the wait for further servers: the longest time between two answers.
	natsSilence = 500 * time.Millisecond
	// testedNATS is the version that the tests run on.
	testedNATS = server.VERSION
)

// examineNATS checks NATS and the contents of JetStream. It publishes only API requests that read, or that the server
// must refuse: see [handler.Topology.TryCreate].
func examineNATS(ctx context.Context, c config.Config, now func() time.Time) (checks []Finding) {
	const name = "nats"
	if c.NATSURL == "" {
		checks = examineEmbedded(c)
	}
	link, err := natsconn.Dial(ctx, c, slog.New(slog.DiscardHandler))
	switch {
	case errors.Is(err, nats.ErrNoServers) && c.NATSURL == "": // no process listens
		if err := canListen(ctx, c.EmbeddedAddr); err != nil {
			return append(checks, fault(name, "choose another NATS_EMBEDDED_ADDR", "the service does not start: "+
				"NATS_EMBEDDED_ADDR: %s", err))
		}
		found := unreadableByUser(name, "start the service, then run doctor again", err)
		found.Message = "the embedded server at " + c.EmbeddedAddr + " is not running; it runs only while the service " +
			"does. Its streams were not checked"
		return append(checks, found)
	case err != nil:
		found := unreadable(name, err)
		found.Hint = "check NATS_URL or its file (without them NATS_EMBEDDED_ADDR), and NATS_CREDS, NATS_NKEY or " +
			"NATS_TLS_…, that the server runs, and that it accepts the user"
		return append(checks, found)
	}
	defer link.Close(ctx)
	nc := link.Conn()
	if c.NATSURL == "" && nc.ConnectedServerName() != buildinfo.Name {
		return append(checks, fault(name, "to use that server, set NATS_URL=nats://"+c.EmbeddedAddr+"; else choose another "+
			"NATS_EMBEDDED_ADDR", "the service does not start: another NATS server, %s, listens at NATS_EMBEDDED_ADDR %s",
			terminal.Plain(nc.ConnectedServerName()), c.EmbeddedAddr))
	}
	js := link.JetStream()
	n := &prober{c: c, nc: nc, js: js, now: now}
	n.nc.SetErrorHandler(n.onError)
	connected := len(checks)
	checks = append(checks, ok(name, "%s", n.describe(natsUser{}, nil)), n.checkNATSTLS(),
		checkNATSVersion(terminal.Plain(n.nc.ConnectedServerName()), n.nc.ConnectedServerVersion()))
	if inboxErr, ok := errors.AsType[*natsconn.InboxError](natsconn.CheckInbox(ctx, nc)); ok {
		return append(checks, fault("nats_permissions",
			natsconn.SetInboxPrefix+"; or allow the user:\nsubscribe "+inboxErr.Inbox,
			"the user may not subscribe to its inbox, so it receives no replies. Nothing else was checked"))
	}
	user, errUser := n.readUser(ctx)
	info, account, usable := n.examineAccount(ctx)
	checks[connected].Message = n.describe(user, info)
	var status handler.TopologyStatus
	if usable {
		status = c.Topology().Status(ctx, js, now, n.request)
	}
	if info != nil {
		account = checkAccount(info, c.Replicas, n.toCreate(status))
	}
	checks = append(checks, n.checkPermissions(user, errUser, status))
	if usable {
		checks = append(checks, checkNATSClock(status))
	}
	checks = append(checks, n.examineSync(ctx, status), account)
	if !usable {
		return checks
	}
	checks = append(checks, checkReplicas(status, n.nc.ConnectedClusterName() != ""))
	checks = append(checks, n.examineStreams(ctx, status)...)
	checks = append(checks, n.examineConsumer(ctx, status, consumersOf(info, c.Replicas))...)
	return append(checks, n.examineRecovery(ctx)...)
}

func checkNATSVersion(server, version string) Finding {
	const name = "nats_version"
	if err := natsconn.CheckVersion(server, version); err != nil {
		return fault(name, "upgrade the servers to "+natsconn.Oldest+" or later", "%v", err)
	}
	return ok(name, "%s; %s or later is needed, tested with %s", version, natsconn.Oldest, testedNATS)
}

func checkNATSClock(s handler.TopologyStatus) Finding {
	const name = "nats_clock"
	for _, stream := range s.Streams {
		if stream.Info != nil && !stream.Info.TimeStamp.IsZero() {
			return checkClock(name, "the NATS server's", stream.Info.TimeStamp.Sub(stream.SampledAt), stream.ClockError)
		}
	}
	return warning(name, "start the service, which creates the streams, then run doctor again",
		"there is no stream to read the time from")
}
