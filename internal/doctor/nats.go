package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

	// oldestNATS is the first server that accepts +TERM with a reason, which ends every failed request. An older one
	// ignores it and redelivers the request for ever.
	oldestNATS = "2.10.4"
	// testedNATS is the version that the tests run on.
	testedNATS = server.VERSION
)

// examineNATS checks NATS and the contents of JetStream. It publishes only API requests that read.
func examineNATS(ctx context.Context, c config.Config, now func() time.Time) (checks []Finding) {
	const name = "nats"
	if c.NATSURL == "" {
		checks = examineEmbedded(c)
	}
	nc, err := natsconn.Dial(c, slog.New(slog.DiscardHandler))
	switch {
	case errors.Is(err, nats.ErrNoServers) && c.NATSURL == "": // no process listens
		found := unreadableByUser(name, "start the service, then run doctor again", err)
		found.Message = "the embedded server at " + c.EmbeddedAddr + " is not running; it runs only while the service " +
			"does. Its streams were not checked"
		return append(checks, found)
	case err != nil:
		found := unreadable(name, err)
		found.Hint = "check NATS_URL (without it NATS_EMBEDDED_ADDR) and NATS_CREDS or NATS_TLS_…, that the server runs, " +
			"and that it accepts the user"
		return append(checks, found)
	}
	defer natsconn.Close(ctx, nc)
	js, err := jetstream.New(nc)
	if err != nil {
		return append(checks, unreadable(name, err))
	}
	n := &prober{c: c, nc: nc, js: js, now: now}
	n.nc.SetErrorHandler(n.onError)
	where := n.nc.ConnectedServerName()
	if cluster := n.nc.ConnectedClusterName(); cluster != "" {
		where += " of cluster " + cluster
	}
	checks = append(checks, ok(name, "%s at %s", terminal.Plain(where), n.nc.ConnectedAddr()),
		checkNATSVersion(n.nc.ConnectedServerVersion()))
	if inboxErr, ok := errors.AsType[*natsconn.InboxError](natsconn.CheckInbox(ctx, nc)); ok {
		return append(checks, fault("nats_permissions",
			natsconn.SetInboxPrefix+"; or allow the user:\nsubscribe "+inboxErr.Inbox,
			"the user may not subscribe to its inbox, so it receives no replies. Nothing else was checked"))
	}
	account, usable := n.examineAccount(ctx)
	var status handler.TopologyStatus
	if usable {
		status = c.Topology().Status(ctx, js, now, n.request)
	}
	checks = append(checks, n.examinePermissions(ctx, status))
	if usable {
		checks = append(checks, checkNATSClock(status))
	}
	checks = append(checks, n.examineSync(ctx, status), account)
	if !usable {
		return checks
	}
	checks = append(checks, checkReplicas(status, n.nc.ConnectedClusterName() != ""))
	checks = append(checks, checkStreams(c, status)...)
	return append(checks, n.examineConsumer(ctx, status)...)
}

func checkNATSVersion(version string) Finding {
	const name = "nats_version"
	if olderThan(version, oldestNATS) {
		return fault(name, "upgrade the servers to "+oldestNATS+" or later",
			"%s is too old: %s or later is needed; an older server redelivers failed requests for ever", version, oldestNATS)
	}
	return ok(name, "%s; %s or later is needed, tested with %s", version, oldestNATS, testedNATS)
}

// olderThan compares versions such as 2.10.4 or 2.11.0-RC.1, number by number.
func olderThan(version, than string) bool {
	a, aOK := numbers(version)
	b, bOK := numbers(than)
	return aOK && bOK && slices.Compare(a, b) < 0 // a custom version is not judged
}

func numbers(version string) (_ []int, ok bool) {
	n := make([]int, 3)
	_, err := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d.%d", &n[0], &n[1], &n[2])
	return n, err == nil
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
