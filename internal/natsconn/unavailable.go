package natsconn

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// replicasNotSupported is the only server error that waiting does not end: the server is in no cluster, so that
// NATS_REPLICAS contradicts it. (nats-server 2.15.2, server/errors.json)
const replicasNotSupported jetstream.ErrorCode = 10074

// passing are rejections of JetStream that end when servers join the cluster, or when limits are raised: no suitable
// peers for a placement, resource limits of the account, limits on streams and consumers, peers that are not members
// yet, and an account without limits. (nats-server 2.15.2, server/errors.json)
var passing = []jetstream.ErrorCode{10005, 10002, 10026, 10027, 10040, 10044, 10120}

// Unavailable reports whether an error means that NATS cannot be reached now, does not answer, or cannot do its part
// yet: a cluster without a leader or without enough servers, a full disk, a missing permission.
func Unavailable(err error) bool {
	if _, ok := errors.AsType[*TooOldError](err); ok || errors.Is(err, nats.ErrConnectionClosed) {
		return false
	}
	if _, ok := errors.AsType[*InboxError](err); ok { // the user's permissions may change
		return true
	}
	var answered jetstream.JetStreamError
	if errors.As(err, &answered) && answered.APIError() != nil {
		api := answered.APIError()
		return api.Code >= http.StatusInternalServerError && api.ErrorCode != replicasNotSupported ||
			slices.Contains(passing, api.ErrorCode)
	}
	for _, target := range []error{
		nats.ErrNoResponders, nats.ErrTimeout, nats.ErrConnectionReconnecting, nats.ErrDisconnected,
		nats.ErrReconnectBufExceeded, // the service has no reconnect buffer: the connection was lost just now
		context.DeadlineExceeded,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
