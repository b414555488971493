package natsconn

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
)

// InboxError means that the user may not subscribe to its inbox, so that every request would time out.
type InboxError struct{ Inbox string }

func (e *InboxError) Error() string {
	return "the NATS user may not subscribe to its inbox (" + e.Inbox + "), so it receives no replies; " + SetInboxPrefix
}

// SetInboxPrefix is the first remedy: a user who may subscribe to _INBOX.> can read the replies to all other users of
// the account.
const SetInboxPrefix = "set NATS_INBOX_PREFIX to the user's own inbox, such as _INBOX_consumer for the service in " +
	"deploy/nats/server.conf"

// CheckInbox returns an [InboxError] if the user may not subscribe to its inbox. It returns nil where the server does
// not answer: the next request reports that.
func CheckInbox(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox + ".*") // as the client itself subscribes
	if err != nil {
		return err
	}
	defer sub.Unsubscribe() //nolint:errcheck // a server that is unavailable has dropped it
	// The server reports a violation before it answers the flush.
	if nc.FlushWithContext(ctx) != nil {
		return nil // see above
	}
	if err := nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), inbox) {
		return &InboxError{inbox[:strings.LastIndexByte(inbox, '.')] + ".>"}
	}
	return nil
}
