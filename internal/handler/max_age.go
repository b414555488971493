package handler

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// ForgetBefore returns the latest time of which the ledger may forget the requests decided before it: the stream of
// requests drops what is older than its max_age. A younger request can be delivered again, and would then be a new one.
func ForgetBefore(ctx context.Context, js jetstream.JetStream) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stream, err := js.Stream(ctx, events.StreamRequests)
	if err != nil {
		return time.Time{}, fmt.Errorf("read stream %s: %w", events.StreamRequests, ExplainAPIPermission(js, err))
	}
	info := stream.CachedInfo()
	if info.Config.MaxAge <= 0 {
		return time.Time{}, fmt.Errorf("stream %[1]s has no max_age, so that a request of any age can be delivered again "+
			"and the ledger must keep it; set one: nats stream edit %[1]s --max-age=90d", events.StreamRequests)
	}
	return info.TimeStamp.Add(-info.Config.MaxAge), nil
}
