package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

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
	err := n.request(ctx, func(ctx context.Context) error {
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
		return warning(name, "to check the service's permissions, run doctor as its user", "the user may neither take "+
			"requests nor publish outcomes, so it is not the service's user")
	}
	if len(missing) > 0 {
		return fault(name, "allow the user:\n"+strings.Join(missing, "\n"),
			"the user lacks %d permissions that the service needs", len(missing))
	}
	return ok(name, "the user has the permissions that the service needs")
}

// JetStream API subjects of the durable consumer end in durableSubject. A pull publishes on nextRequest.
const (
	durableSubject = events.StreamRequests + "." + events.DurableConsumer
	nextRequest    = "$JS.API.CONSUMER.MSG.NEXT." + durableSubject
)

// publications are the subjects that the service publishes on, including those of the JetStream API. Subjects that
// create or change something are included only where that is needed.
func publications(c config.Config, s handler.TopologyStatus) []string {
	subjects := []string{
		events.TypeProvisioned, events.TypeProvisioningFailed, events.SubjectDeadLetterPrefix + "*",
		events.SubjectProgressPrefix + "*",
		"$JS.API.CONSUMER.INFO." + durableSubject, nextRequest, "$JS.ACK." + durableSubject + ".>",
		"$JS.API.STREAM.MSG.GET." + events.StreamRequests, "$JS.API.STREAM.MSG.GET." + events.StreamEvents,
		"$JS.API.STREAM.MSG.GET." + events.StreamDeadLetters,
	}
	for _, found := range s.Streams {
		subjects = append(subjects, "$JS.API.STREAM.INFO."+found.Name)
		if c.Manage && errors.Is(found.Err, handler.ErrMissing) {
			subjects = append(subjects, "$JS.API.STREAM.CREATE."+found.Name)
		}
	}
	if !c.Manage {
		return subjects
	}
	_, withheld := s.Withholding()
	if withheld {
		subjects = append(subjects, "$JS.API.CONSUMER.DELETE."+durableSubject)
	}
	if withheld || errors.Is(s.Consumer.Err, handler.ErrMissing) ||
		s.Consumer.Info != nil && len(c.Topology().Corrections(s.Consumer.Info.Config)) > 0 {
		subjects = append(subjects, "$JS.API.CONSUMER.CREATE."+durableSubject)
	}
	return subjects
}

// permitted applies the server's rule: an empty allow list allows everything, and deny overrides allow.
func permitted(subject string, allow, deny []string) bool {
	if slices.ContainsFunc(deny, func(d string) bool { return server.SubjectsCollide(subject, withoutQueue(d)) }) {
		return false
	}
	return len(allow) == 0 ||
		slices.ContainsFunc(allow, func(a string) bool { return server.SubjectMatchesFilter(subject, withoutQueue(a)) })
}

// withoutQueue is the subject of a permission, which may have a queue name after it.
func withoutQueue(permission string) string {
	subject, _, _ := strings.Cut(permission, " ")
	return subject
}
