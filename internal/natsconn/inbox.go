package natsconn

import (
	"context"
	"errors"
	"strings"
	"time"

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
	"deploy/nats/server.conf, or grant the permission"

// isInboxRefusal reports whether the server refused a subscription to an inbox with this prefix.
func isInboxRefusal(err error, prefix string) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `Subscription to "`+prefix+`.`)
}

// CheckInbox returns an [InboxError] if the user may not subscribe to its inbox. It returns nil where the server does
// not answer: the next request reports that.
func CheckInbox(ctx context.Context, nc *nats.Conn) error {
	allowed, err := tryInbox(ctx, nc)
	switch {
	case errors.Is(err, errNoFlush):
		return nil // see above
	case err != nil:
		return err
	case !allowed:
		inbox := nc.NewInbox()
		return &InboxError{inbox[:strings.LastIndexByte(inbox, '.')] + ".>"}
	}
	return nil
}

// errNoFlush means that the server did not answer.
var errNoFlush = errors.New("the server does not answer")

// tryInbox subscribes to a new inbox, as the client itself does for replies, and reports whether the user may. The
// connection has the option PermissionErrOnSubscribe.
func tryInbox(ctx context.Context, nc *nats.Conn) (allowed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox + ".*")
	if err != nil {
		return false, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // a server that is unavailable has dropped it
	// The server reports a violation before it answers the flush.
	if nc.FlushWithContext(ctx) != nil {
		return false, errNoFlush
	}
	_, err = sub.NextMsg(time.Millisecond) // not LastError: another violation may have come since
	return !errors.Is(err, nats.ErrPermissionViolation), nil
}
