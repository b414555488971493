package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/handler"
)

func (n *prober) examinePermissions(ctx context.Context, s handler.TopologyStatus) Finding {
	const name = "nats_permissions"
	var answer struct {
		Data struct {
			Permissions struct {
				Publish struct{ Allow, Deny []string }
			}
		}
	}
	err := n.ask(ctx, func(ctx context.Context) error {
		msg, err := n.nc.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
		if err != nil {
			return err
		}
		return json.Unmarshal(msg.Data, &answer)
	})
	if err != nil {
		return unreadableByUser(name,
			"allow the user to publish on $SYS.REQ.USER.INFO, which reports only its own permissions", err)
	}
	publish := answer.Data.Permissions.Publish
	var missing []string
	for _, subject := range publications(n.c, s) {
		if !permitted(subject, publish.Allow, publish.Deny) {
			missing = append(missing, "publish "+subject)
		}
	}
	if slices.Contains(missing, "publish "+events.TypeProvisioned) && slices.Contains(missing, "publish "+nextRequest) {
		return warning(name, "to have the service's permissions judged, look as its user", "the user takes no requests and "+
			"publishes no outcomes. It is not the service's; as such it would be of no use")
	}
	if len(missing) > 0 {
		return fault(name, "allow the user:\n"+strings.Join(missing, "\n"),
			"%d that the service needs are refused to this user", len(missing))
	}
	return ok(name, "the user may do what the service needs")
}

// Questions to JetStream about the durable consumer end in durableSubject. nextRequest asks for work.
const (
	durableSubject = events.StreamRequests + "." + events.DurableConsumer
	nextRequest    = "$JS.API.CONSUMER.MSG.NEXT." + durableSubject
)

// publications are the subjects that the service publishes on, the questions to JetStream included. To make
// or change something it asks only where that is to be done.
func publications(c config.Config, s handler.TopologyStatus) []string {
	subjects := []string{
		events.TypeProvisioned, events.TypeProvisioningFailed, events.SubjectDeadLetterPrefix + "*",
		events.SubjectProgressPrefix + "*",
		"$JS.API.CONSUMER.INFO." + durableSubject, nextRequest, "$JS.ACK." + durableSubject + ".>",
		"$JS.API.STREAM.MSG.GET." + events.StreamRequests,
	}
	for _, found := range s.Streams {
		subjects = append(subjects, "$JS.API.STREAM.INFO."+found.Name)
		if c.Manage && errors.Is(found.Err, handler.ErrMissing) {
			subjects = append(subjects, "$JS.API.STREAM.CREATE."+found.Name)
		}
	}
	if c.Manage && (errors.Is(s.Consumer.Err, handler.ErrMissing) || toBeSet(c, s.Consumer.Info)) {
		subjects = append(subjects, "$JS.API.CONSUMER.CREATE."+durableSubject)
	}
	return subjects
}

// toBeSet reports whether the service changes the consumer at its next start.
func toBeSet(c config.Config, info *jetstream.ConsumerInfo) bool {
	return info != nil && (info.Config.AckWait != c.AckWait || info.Config.MaxAckPending > 0)
}

// permitted is the server's rule: all is allowed where nothing is listed, and what is denied is never allowed.
func permitted(subject string, allow, deny []string) bool {
	if slices.ContainsFunc(deny, func(d string) bool { return server.SubjectsCollide(subject, withoutQueue(d)) }) {
		return false
	}
	return len(allow) == 0 ||
		slices.ContainsFunc(allow, func(a string) bool { return server.SubjectMatchesFilter(subject, withoutQueue(a)) })
}

// withoutQueue is the subject of a permission, which may name a queue behind it.
func withoutQueue(permission string) string {
	subject, _, _ := strings.Cut(permission, " ")
	return subject
}
