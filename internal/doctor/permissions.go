package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

// apiSubject returns the subject of an operation of the JetStream API for which the user needs permission.
func (n *prober) apiSubject(operation string) string {
	if n.inDomain {
		return handler.APISubjectAtServer(n.js, operation)
	}
	return handler.APISubject(n.js, operation)
}

// natsUser is what the server reports about the user of a connection. (nats-server 2.15.2, server/events.go, UserInfo)
type natsUser struct {
	User        string
	Account     string
	Permissions struct {
		Publish struct{ Allow, Deny []string }
	}
}

const userInfoSubject = "$SYS.REQ.USER.INFO"

// readUser reads what the server knows about the connection's user. Leaf nodes of the account answer too, each for its
// own connection.
func (n *prober) readUser(ctx context.Context) (natsUser, error) {
	type answerOf struct {
		Server struct{ ID, Domain string }
		Data   natsUser
	}
	var answer answerOf
	err := n.request(ctx, func(ctx context.Context) error {
		inbox := n.nc.NewInbox()
		answers, err := n.nc.SubscribeSync(inbox)
		if err != nil {
			return err
		}
		defer answers.Unsubscribe() //nolint:errcheck // it fails only if the connection has ended
		if err := n.nc.PublishRequest(userInfoSubject, inbox, nil); err != nil {
			return err
		}
		for answer.Server.ID != n.nc.ConnectedServerId() {
			msg, err := answers.NextMsgWithContext(ctx)
			if err != nil {
				return err
			}
			if msg.Header.Get("Status") == "503" {
				return nats.ErrNoResponders
			}
			answer = answerOf{}
			if err := json.Unmarshal(msg.Data, &answer); err != nil {
				return err
			}
		}
		return nil
	})
	n.inDomain = answer.Server.Domain == n.c.NATSDomain
	return answer.Data, err
}

func (n *prober) checkPermissions(user natsUser, err error, s handler.TopologyStatus) Finding {
	const name = "nats_permissions"
	if err != nil {
		return unreadableByUser(name,
			"allow the user to publish on "+userInfoSubject+", which reports only its own permissions", err)
	}
	publish, nextRequest := user.Permissions.Publish, n.apiSubject(nextRequest)
	var missing []string
	for _, subject := range n.publications(s) {
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

// Operations of the JetStream API on the durable consumer end in durableSubject. nextRequest is a pull.
const (
	durableSubject = events.StreamRequests + "." + events.DurableConsumer
	nextRequest    = "CONSUMER.MSG.NEXT." + durableSubject
)

// publications are the subjects that the service publishes on, including those of the JetStream API. Subjects that
// create or change something are included only where that is needed.
func (n *prober) publications(s handler.TopologyStatus) []string {
	c := n.c
	api := n.apiSubject
	subjects := []string{
		events.TypeProvisioned, events.TypeProvisioningFailed, events.SubjectDeadLetterPrefix + "*",
		events.SubjectProgressPrefix + "*",
		api("CONSUMER.INFO." + durableSubject), api(nextRequest), "$JS.ACK." + durableSubject + ".>",
		api("STREAM.MSG.GET." + events.StreamRequests), api("STREAM.MSG.GET." + events.StreamEvents),
		api("STREAM.MSG.GET." + events.StreamDeadLetters),
	}
	for _, found := range s.Streams {
		subjects = append(subjects, api("STREAM.INFO."+found.Name))
		if c.Manage && errors.Is(found.Err, handler.ErrMissing) {
			subjects = append(subjects, api("STREAM.CREATE."+found.Name))
		}
	}
	if !c.Manage {
		return subjects
	}
	_, withheld := s.Withholding()
	if withheld {
		subjects = append(subjects, api("CONSUMER.DELETE."+durableSubject))
	}
	if withheld || errors.Is(s.Consumer.Err, handler.ErrMissing) ||
		s.Consumer.Info != nil && len(c.Topology().Corrections(s.Consumer.Info.Config)) > 0 {
		subjects = append(subjects, api("CONSUMER.CREATE."+durableSubject))
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
