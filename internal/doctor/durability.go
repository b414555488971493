package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/terminal"
)

// syncing is a server's answer about whether it syncs a write before it confirms it.
type syncing struct {
	Server struct{ Name string }
	Data   struct {
		JetStream struct {
			Config *struct {
				Always   bool          `json:"sync_always"`
				Interval time.Duration `json:"sync_interval"`
			}
		}
	}
}

// examineSync checks whether a power failure can lose confirmed messages. Only a user with access to the system account
// can see the setting.
func (n *prober) examineSync(ctx context.Context, s handler.TopologyStatus) Finding {
	const (
		name = "nats_sync"
		hint = "jetstream { sync_interval: always } # on each server; or three servers, and NATS_REPLICAS=3"
	)
	if n.c.NATSURL == "" {
		return ok(name, "the embedded server syncs every write")
	}
	replicas := replicas(s)
	var weak, seen []string
	for _, found := range n.syncing(ctx) {
		if config := found.Data.JetStream.Config; config != nil {
			seen = append(seen, found.Server.Name)
			if !config.Always {
				weak = append(weak, fmt.Sprintf("%s (every %s)", terminal.Plain(found.Server.Name), config.Interval))
			}
		}
	}
	switch {
	case len(seen) > 0 && len(weak) == 0:
		return ok(name, "every write is synced: %s", strings.Join(seen, ", "))
	case len(weak) > 0 && replicas < 3:
		return warning(name, hint, "not every write is synced: %s. A power failure loses what was confirmed since the "+
			"last sync", strings.Join(weak, ", "))
	case replicas >= 3:
		return ok(name, "each message is on %d servers; they should not share one power supply", replicas)
	}
	return warning(name, "check the servers' configuration files, or run doctor as a user of the system account. "+
		"Required:\n"+hint,
		"not visible to this user. By default a server syncs every two minutes, and a power failure "+
			"loses what it confirmed since the last sync; make sure that it syncs every write")
}

// replicas returns the smallest number of servers that store a message of any stream; 0: unknown.
func replicas(s handler.TopologyStatus) (least int) {
	for i, stream := range s.Streams {
		if stream.Info == nil {
			return 0
		}
		if r := stream.Info.Config.Replicas; i == 0 || r < least {
			least = r
		}
	}
	return least
}

// syncing queries all servers; it returns none where the user lacks the permission.
func (n *prober) syncing(ctx context.Context) (answers []syncing) {
	_ = n.request(ctx, func(ctx context.Context) error { // without an answer the setting is not visible
		inbox := n.nc.NewInbox()
		sub, err := n.nc.SubscribeSync(inbox)
		if err != nil {
			return err
		}
		defer sub.Unsubscribe() //nolint:errcheck // the connection ends soon
		if err := n.nc.PublishRequest("$SYS.REQ.SERVER.PING.VARZ", inbox, nil); err != nil {
			return err
		}
		for {
			ctx, cancel := context.WithTimeout(ctx, natsSilence)
			msg, err := sub.NextMsgWithContext(ctx)
			cancel()
			if err != nil {
				return err
			}
			var answer syncing
			if err := json.Unmarshal(msg.Data, &answer); err != nil { // no responders: the message has no data
				return err
			}
			answers = append(answers, answer)
		}
	})
	return answers
}
