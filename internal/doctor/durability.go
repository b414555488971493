package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/terminal"
)

// syncing is whether a server syncs what it stores before it confirms it.
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

// examineSync looks whether a power failure takes what was confirmed. Only who may ask the system account can see it.
func (n *prober) examineSync(ctx context.Context, s handler.TopologyStatus) Finding {
	const (
		name = "nats_sync"
		hint = "jetstream { sync_interval: always } # on each server; or three servers, and NATS_REPLICAS=3"
	)
	if n.c.NATSURL == "" && n.nc.ConnectedServerName() == buildinfo.Name {
		return ok(name, "the embedded server syncs every write")
	}
	replicas := replicas(s)
	var lax, seen []string
	for _, found := range n.syncing(ctx) {
		if config := found.Data.JetStream.Config; config != nil {
			seen = append(seen, found.Server.Name)
			if !config.Always {
				lax = append(lax, fmt.Sprintf("%s (every %s)", terminal.Plain(found.Server.Name), config.Interval))
			}
		}
	}
	switch {
	case len(seen) > 0 && len(lax) == 0:
		return ok(name, "every write is synced: %s", strings.Join(seen, ", "))
	case len(lax) > 0 && replicas < 3:
		return warning(name, hint, "not every write is synced: %s. A power failure takes what was confirmed since",
			strings.Join(lax, ", "))
	case replicas >= 3:
		return ok(name, "each message is on %d servers; they should not share one power supply", replicas)
	}
	return warning(name, "look into the servers' files, or look as a user of the system account. There is to be:\n"+hint,
		"not visible to this user. By default a server syncs every two minutes, and a power failure "+
			"takes what it confirmed since; see that it syncs every write")
}

// replicas is on how many servers each message is, at least; 0: nobody knows.
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

// syncing asks all servers, if this user may.
func (n *prober) syncing(ctx context.Context) (answers []syncing) {
	_ = n.ask(ctx, func(ctx context.Context) error { // what is not answered is not visible
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
			if err := json.Unmarshal(msg.Data, &answer); err != nil { // nobody to ask: no data
				return err
			}
			answers = append(answers, answer)
		}
	})
	return answers
}
