package handler

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// bodySizeHeader is the header that the server adds to each message if it delivers only headers. Any publisher can set
// it too. (nats-server 2.15.2, consumer.go, convertToHeadersOnly)
const bodySizeHeader = "Nats-Msg-Size"

// errBodyWithheld means that the consumer was set to headers_only, so that the message has no body.
var errBodyWithheld = errors.New("it was delivered without its body: the consumer is, or was, set to headers_only")

// checkBody returns an error if the stream has a body of this message and the server has not delivered it, or if that
// cannot be determined. Nothing may be decided about the message then.
func (h *Handler) checkBody(ctx context.Context, d delivery) error {
	if len(d.msg.Data) > 0 || !d.unreadable && !hasHeader(d.msg, bodySizeHeader) {
		return nil
	}
	stored, err := GetMessage(ctx, h.JetStream, d.stream, StoredMessage{Sequence: d.sequence})
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound): // it was removed, and is not delivered again
		return errBodyWithheld
	case err != nil:
		return fmt.Errorf("read whether it has a body: %w", ExplainAPIPermission(h.JetStream, err))
	case len(stored.Data) > 0:
		return errBodyWithheld
	}
	return nil
}

// hasHeader reports whether the message has the header, whose name matches without regard to case.
func hasHeader(msg *Message, name string) bool {
	for found := range msg.Header {
		if strings.EqualFold(found, name) {
			return true
		}
	}
	return false
}
