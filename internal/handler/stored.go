package handler

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// StoredMessage selects a message that a stream holds. (nats-server, JSApiMsgGetRequest)
type StoredMessage struct {
	Sequence uint64 `json:"seq,omitempty"`
	// NextFor selects the first message on this subject, which may have wildcards, at or after Sequence.
	NextFor string `json:"next_by_subj,omitempty"`
	// LastFor selects the newest message on this subject. Nothing else is set then.
	LastFor string `json:"last_by_subj,omitempty"`
}

// GetMessage reads a message that the stream holds. It waits 5 seconds at most. Its error is [jetstream.ErrMsgNotFound]
// if there is no such message.
//
// From a stream with allow_direct the client library reads directly. It then takes a message with an empty body and a
// Status header for the server's reply that there is none. (nats.go 1.55.0, jetstream/stream.go:
// convertDirectGetMsgResponseToMsg) GetMessage always uses the API that replies in JSON.
func GetMessage(
	ctx context.Context, js jetstream.JetStream, stream string, which StoredMessage,
) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	request, err := json.Marshal(which)
	if err != nil {
		return nil, err
	}
	answer, err := js.Conn().RequestWithContext(ctx, APISubject(js, "STREAM.MSG.GET."+stream), request)
	if err != nil {
		return nil, err
	}
	var response struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &response); err != nil {
		return nil, err
	}
	switch {
	case response.Error != nil && response.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, jetstream.ErrMsgNotFound
	case response.Error != nil:
		return nil, response.Error
	case response.Message == nil:
		return nil, jetstream.ErrInvalidJetStreamResponse
	}
	m := response.Message
	// Headers that cannot be parsed are dropped, as when a consumer delivers the message.
	header, _ := nats.DecodeHeadersMsg(m.Header)
	return &jetstream.RawStreamMsg{
		Subject: m.Subject, Sequence: m.Sequence, Header: header, Data: m.Data, Time: m.Time,
	}, nil
}
