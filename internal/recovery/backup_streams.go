package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/handler"
)

// chunkTimeout is how long the next chunk of a snapshot, or its confirmation, may take. The servers themselves give up
// after 5 seconds.
const chunkTimeout = 30 * time.Second

// CopiedStream is a stream in the copy.
type CopiedStream struct {
	Name     string
	Messages uint64
}

// copyStreams copies the three streams with their consumers to a server that has none, in the order that the package
// documentation explains.
func copyStreams(ctx context.Context, source, target jetstream.JetStream) ([]CopiedStream, error) {
	consumers, err := durableConsumers(ctx, source)
	if err != nil {
		return nil, err
	}
	crash.Point("consumers read", "")
	var copied []CopiedStream
	for _, s := range []struct {
		name      string
		consumers bool // with their state at the time of the copy
	}{{events.StreamEvents, true}, {events.StreamDeadLetters, true}, {events.StreamRequests, false}} {
		messages, err := copyStream(ctx, source, target, s.name, s.consumers)
		if err != nil {
			return nil, fmt.Errorf("copy stream %s: %w", s.name, err)
		}
		copied = append(copied, CopiedStream{s.name, messages})
		crash.Point("stream copied", s.name)
	}
	requests, err := target.Stream(ctx, events.StreamRequests)
	if err != nil {
		return nil, err
	}
	last := requests.CachedInfo().State.LastSeq
	for _, info := range consumers {
		if _, err := requests.CreateConsumer(ctx, handler.ContinueOnCopy(info, last)); err != nil {
			return nil, fmt.Errorf("copy consumer %s of stream %s: %w", info.Name, events.StreamRequests, err)
		}
	}
	return copied, nil
}

// durableConsumers returns the durable consumers of the stream of requests.
func durableConsumers(ctx context.Context, js jetstream.JetStream) (durable []*jetstream.ConsumerInfo, err error) {
	requests, err := js.Stream(ctx, events.StreamRequests)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s does not exist; run the service once to create it: consumer run",
			events.StreamRequests)
	}
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", events.StreamRequests, err)
	}
	list := requests.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Durable != "" {
			durable = append(durable, info)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("read the consumers of stream %s: %w", events.StreamRequests, err)
	}
	return durable, nil
}

// apiResponse has what the responses of the snapshot and restore API have in common, as far as it is needed.
type apiResponse struct {
	Error          *jetstream.APIError `json:"error"`
	Config         json.RawMessage     `json:"config"`
	State          json.RawMessage     `json:"state"`
	DeliverSubject string              `json:"deliver_subject"`
}

// copyStream passes a snapshot of the stream, chunk by chunk, to the server that restores it. A chunk is confirmed to
// the one once the other has confirmed it. It returns the number of messages in the copy.
//
// The protocol is that of nats-server 2.15.2: jsStreamSnapshotRequest and processStreamRestore in jetstream_api.go.
func copyStream(
	ctx context.Context, source, target jetstream.JetStream, stream string, consumers bool,
) (uint64, error) {
	from, to := source.Conn(), target.Conn()
	inbox := from.NewInbox()
	chunks, err := from.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer chunks.Unsubscribe() //nolint:errcheck // the connection ends soon
	snapshot, err := request(ctx, from, handler.APISubject(source, "STREAM.SNAPSHOT."+stream),
		map[string]any{"deliver_subject": inbox, "no_consumers": !consumers, "jsck": true})
	if err != nil {
		return 0, fmt.Errorf("request a snapshot: %w", handler.ExplainAPIPermission(source, err))
	}
	restore, err := request(ctx, to, handler.APISubject(target, "STREAM.RESTORE."+stream),
		map[string]any{"config": snapshot.Config, "state": snapshot.State})
	if err != nil {
		return 0, fmt.Errorf("begin to restore: %w", err)
	}
	for {
		chunk, err := next(ctx, chunks)
		if err != nil {
			return 0, fmt.Errorf("receive the snapshot: %w", err)
		}
		if len(chunk.Data) == 0 {
			break
		}
		if _, err := send(ctx, to, restore.DeliverSubject, chunk.Data); err != nil {
			return 0, fmt.Errorf("restore: %w", err)
		}
		if chunk.Reply == "" { // the last one
			continue
		}
		if err := chunk.Respond(nil); err != nil {
			return 0, fmt.Errorf("confirm a part of the snapshot: %w", err)
		}
	}
	restored, err := send(ctx, to, restore.DeliverSubject, nil)
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	return compareStates(snapshot.State, restored.State)
}

// next receives the next chunk of a snapshot; at its end, one without data.
func next(ctx context.Context, chunks *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	chunk, err := chunks.NextMsgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	const complete = "204"
	if status := chunk.Header.Get("Status"); status != "" && status != complete {
		return nil, fmt.Errorf("the server ended it: %s %s", status, chunk.Header.Get("Description"))
	}
	return chunk, nil
}

// request sends a request to the JetStream API.
func request(ctx context.Context, nc *nats.Conn, subject string, body any) (apiResponse, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return apiResponse{}, err
	}
	return send(ctx, nc, subject, data)
}

// send is request with an encoded body. The response to a chunk is empty.
func send(ctx context.Context, nc *nats.Conn, subject string, data []byte) (r apiResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	msg, err := nc.RequestWithContext(ctx, subject, data)
	if err != nil || len(msg.Data) == 0 {
		return r, err
	}
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		return r, fmt.Errorf("decode the server's response: %w", err)
	}
	if r.Error != nil {
		return r, r.Error
	}
	return r, nil
}

// compareStates fails if the restored stream does not end where the snapshot does. It may have fewer messages: some may
// have left the stream in the meantime.
func compareStates(snapshot, restored json.RawMessage) (messages uint64, err error) {
	var want, got jetstream.StreamState
	if err := errors.Join(json.Unmarshal(snapshot, &want), json.Unmarshal(restored, &got)); err != nil {
		return 0, fmt.Errorf("decode the stream's state: %w", err)
	}
	if got.LastSeq != want.LastSeq {
		return 0, fmt.Errorf("the copy ends at sequence %d, the snapshot at %d", got.LastSeq, want.LastSeq)
	}
	return got.Msgs, nil
}
