package client

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

var (
	// ErrNoStream means that a stream of the contract does not exist, or that another account has it.
	ErrNoStream = errors.New("does not exist")
	// ErrNotStored means that the server refused to store the request, as when the stream is full. Publish it again later.
	ErrNotStored = errors.New("the request was not stored")
)

func noStream(name string) error {
	return fmt.Errorf("stream %s %w; run the service once to create it", name, ErrNoStream)
}

// Receipt is a stored request. It can be kept as JSON, and its outcome be awaited by another process.
type Receipt struct {
	Source   string `json:"source"`
	ID       string `json:"id"`
	TenantID string `json:"tenant_id"`
	// Sequence is that of the message in the stream of requests; 0: unknown, so that Await reads all outcomes.
	Sequence uint64 `json:"sequence,omitempty"`
	// Duplicate: the stream had this request already. That it is false means nothing: the stream remembers requests
	// for minutes only.
	Duplicate bool `json:"duplicate,omitempty"`

	pending *pending // of the Client that published it
}

// Key is the [events.RequestKey] of the request: that of its outcomes, its row in the ledger and its dead letter.
func (r Receipt) Key() string { return events.RequestKey(r.Source, r.ID) }

// Request publishes a request and returns when the stream has stored it. Source and id identify it, so that Request can
// be repeated after any error. To await the outcome use a [Client].
//
// It repeats what was not answered until ctx ends. Errors: a [*events.RequestError] if the data breaks a rule of the
// contract, [ErrNoStream], [ErrNotStored], [nats.ErrPermissionViolation], or that of ctx: then it is unknown whether
// the request was stored.
func Request(
	ctx context.Context, js jetstream.JetStream, source, id string, data events.Requested,
) (Receipt, error) {
	e, err := events.NewRequested(source, id, data)
	if err != nil {
		return Receipt{}, err
	}
	return Publish(ctx, js, e)
}

// Publish is [Request] for an event that the caller made, such as one with a traceparent. It does not check the data.
func Publish(ctx context.Context, js jetstream.JetStream, request event.Event) (Receipt, error) {
	r, msg, err := encode(request)
	if err != nil {
		return Receipt{}, err
	}
	err = r.publish(ctx, js, msg, r.Key())
	return r, err
}

func encode(request event.Event) (Receipt, *nats.Msg, error) {
	header, body, err := events.Encode(request)
	if err != nil {
		return Receipt{}, nil, err
	}
	r := Receipt{Source: request.Source(), ID: request.ID()}
	if data, err := events.RequestedFrom(request); err == nil {
		r.TenantID = data.TenantID
	}
	return r, &nats.Msg{Subject: events.TypeRequested, Header: header, Data: body}, nil
}

// publish publishes until the server has answered or ctx ends. The message id makes repetitions harmless.
func (r *Receipt) publish(ctx context.Context, js jetstream.JetStream, msg *nats.Msg, messageID string) error {
	for {
		ack, err := publishOnce(ctx, js, msg, messageID)
		if err == nil {
			r.Sequence, r.Duplicate = ack.Sequence, ack.Duplicate
			return nil
		}
		err = explain(js.Conn(), err, msg.Subject)
		if ctx.Err() != nil || !canPass(js.Conn(), err) {
			return publicationError(err)
		}
		if pause(ctx) != nil {
			return publicationError(err)
		}
	}
}

func publishOnce(
	ctx context.Context, js jetstream.JetStream, msg *nats.Msg, messageID string,
) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	fresh := &nats.Msg{Subject: msg.Subject, Header: maps.Clone(msg.Header), Data: msg.Data}
	return js.PublishMsg(ctx, fresh, jetstream.WithMsgID(messageID))
}

// canPass reports whether the same publication may succeed soon: the server has not answered, or is out of reach.
func canPass(conn *nats.Conn, err error) bool {
	return !conn.IsClosed() && !errors.Is(err, nats.ErrPermissionViolation) && (isUnanswered(err) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrReconnectBufExceeded))
}

func publicationError(err error) error {
	var refusal jetstream.JetStreamError
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return noStream(events.StreamRequests)
	case errors.As(err, &refusal) && refusal.APIError() != nil:
		return fmt.Errorf("publish the request: %w: %w", ErrNotStored, err)
	}
	return fmt.Errorf("publish the request: %w", err)
}

// Request is the function [Request], and lets [Client.Await] return the outcome. If the stream has had the request
// already, it is published once more, so that the service publishes its outcome again.
func (c *Client) Request(ctx context.Context, source, id string, data events.Requested) (Receipt, error) {
	e, err := events.NewRequested(source, id, data)
	if err != nil {
		return Receipt{}, err
	}
	return c.Publish(ctx, e)
}

// Publish is [Client.Request] for an event that the caller made. It does not check the data.
func (c *Client) Publish(ctx context.Context, request event.Event) (Receipt, error) {
	r, msg, err := encode(request)
	if err != nil {
		return Receipt{}, err
	}
	r.pending = c.expect(r) // before it is published: the outcome may come at once
	err = r.publish(ctx, c.js, msg, r.Key())
	if err == nil && r.Duplicate { // its outcome may be older than this client
		c.repeats(r.pending, r.Sequence)
		again := r // the receipt is that of the first
		err = again.publish(ctx, c.js, msg, uuid.NewString())
	}
	if err != nil {
		c.forget(r.pending)
		return Receipt{}, err
	}
	return r, nil
}
