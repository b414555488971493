package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// Codes with which JetStream refuses to create a stream or a consumer as the contract says. (nats-server 2.15.2,
// server/errors.json)
const (
	noSuitablePeers       jetstream.ErrorCode = 10005
	insufficientResources jetstream.ErrorCode = 10023 // such as max_ha_assets
	tooManyConsumers      jetstream.ErrorCode = 10026
	tooManyStreams        jetstream.ErrorCode = 10027
	storageExceeded       jetstream.ErrorCode = 10047
	invalidStream         jetstream.ErrorCode = 10052 // such as a duplicate window over the server's limit
	subjectsOverlap       jetstream.ErrorCode = 10065
	replicasNotSupported  jetstream.ErrorCode = 10074
	maxBytesRequired      jetstream.ErrorCode = 10113
	noLimits              jetstream.ErrorCode = 10120
)

// namesTimeout bounds the question for the names of streams, which the user may not be allowed to ask.
const namesTimeout = 2 * time.Second

// RefusedError means that JetStream refuses to create a stream or the consumer as the contract says.
type RefusedError struct {
	Reason string
	Remedy string // what to do
	Err    error  // JetStream's answer; nil: it would answer so
}

func (e *RefusedError) Error() string { return "cannot be created: " + e.Reason + "; " + e.Remedy }
func (e *RefusedError) Unwrap() error { return e.Err }

// createStream creates a stream. Its error is a *[RefusedError] if the server has answered.
func createStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := js.CreateStream(ctx, want)
	switch {
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // another replica has just created it
		return js.Stream(ctx, want.Name)
	case codeOf(err) == subjectsOverlap:
		ctx, cancel := context.WithTimeout(ctx, namesTimeout)
		defer cancel()
		if others, failed := othersWithSubjects(ctx, js, want); failed == nil && len(others) > 0 {
			return nil, overlapError(err, others)
		}
	}
	return stream, refusedStream(want, err)
}

// TryCreate asks the server what it has against creating a stream of the contract, and creates nothing: the stream is
// to republish its messages to itself, which every server refuses, after it has compared the other settings with its
// limits and those of the account, and before it changes anything. In a cluster the account's limits on the number of
// streams and on storage come after that. A *[RefusedError] is the answer; nil: nothing.
func (t Topology) TryCreate(ctx context.Context, js jetstream.JetStream, name string) error {
	want := t.stream(name)
	trial := want
	trial.RePublish = &jetstream.RePublish{Source: want.Subjects[0], Destination: want.Subjects[0]}
	_, err := js.CreateStream(ctx, trial)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) ||
		codeOf(err) == invalidStream && strings.Contains(err.Error(), "republish") {
		return nil
	}
	return refusedStream(want, err)
}

// CheckSubjects returns a *[RefusedError] that names the other streams which have subjects of a stream of the contract.
func (t Topology) CheckSubjects(ctx context.Context, js jetstream.JetStream, name string) error {
	others, err := othersWithSubjects(ctx, js, t.stream(name))
	if err != nil || len(others) == 0 {
		return err
	}
	return overlapError(nil, others)
}

// CheckConsumers returns a *[RefusedError] if the stream of requests has as many consumers as it may have. account is
// the account's limit on the consumers of a stream; 0: none, or unknown.
func CheckConsumers(requests *jetstream.StreamInfo, account int) error {
	most := requests.Config.MaxConsumers
	if most <= 0 || account > 0 && account < most { // as the server does
		most = account
	}
	if most <= 0 || requests.State.Consumers < most {
		return nil
	}
	return &RefusedError{
		Reason: fmt.Sprintf("%s has %d consumers, of at most %d (max_consumers)", events.StreamRequests,
			requests.State.Consumers, most),
		Remedy: remedyForConsumers,
	}
}

// stream returns a stream of the contract.
func (t Topology) stream(name string) jetstream.StreamConfig {
	all := t.streams()
	return all[slices.IndexFunc(all, func(s jetstream.StreamConfig) bool { return s.Name == name })]
}

// othersWithSubjects returns the names of other streams that have a subject of this one.
func othersWithSubjects(
	ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig,
) (others []string, err error) {
	for _, subject := range want.Subjects {
		list := js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
		for name := range list.Name() {
			if name != want.Name && !slices.Contains(others, name) {
				others = append(others, name)
			}
		}
		if err := list.Err(); err != nil {
			return nil, err
		}
	}
	return others, nil
}

func overlapError(err error, others []string) error {
	names := strings.Join(others, ", ")
	return &RefusedError{
		Err: err, Reason: "its subjects overlap with those of stream " + names,
		Remedy: "remove them there (nats stream edit " + others[0] + " --subjects=…); to store copies, let that stream " +
			"read this one (--source), once it exists",
	}
}

// refusedStream returns a *[RefusedError] if err is the server's answer, else err.
func refusedStream(want jetstream.StreamConfig, err error) error {
	answer := answerOf(err)
	if answer == nil {
		return err
	}
	remedies := map[jetstream.ErrorCode]string{
		subjectsOverlap: "nats stream ls --subject='" + want.Subjects[0] + "' names the other stream; remove them there: " +
			"nats stream edit",
		maxBytesRequired: "create it with a limit of your choice, and the service uses it: " + addCommand(want),
		tooManyStreams:   "raise the account's max_streams, or remove streams: nats stream ls",
		storageExceeded: "raise max_file of account and server, or store less: limits of other streams, " +
			"nats stream purge",
		noLimits: fmt.Sprintf("the account has no limits for NATS_REPLICAS=%d: set a number for which it has",
			want.Replicas),
		replicasNotSupported: RemedyForReplicas,
		noSuitablePeers: fmt.Sprintf("NATS_REPLICAS=%d needs as many servers with JetStream: nats server report jetstream",
			want.Replicas),
		insufficientResources: remedyForResources,
	}
	if answer.ErrorCode == invalidStream && strings.Contains(answer.Description, "duplicates") {
		remedies[invalidStream] = fmt.Sprintf("raise duplicate_window in jetstream { limits } of the servers to %s",
			want.Duplicates)
	}
	return refused(answer, cmp.Or(remedies[answer.ErrorCode], remedyForOthers))
}

// RemedyForReplicas is what to do if NATS_REPLICAS is above 1 and the server is in no cluster.
const RemedyForReplicas = "set NATS_REPLICAS=1, or NATS_URL to a server of a cluster"

// createConsumer creates the durable consumer. Its error is a *[RefusedError] if the server has answered.
func (t Topology) createConsumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	consumer, err := js.CreateOrUpdateConsumer(ctx, events.StreamRequests, t.consumer())
	return consumer, refusedConsumer(err)
}

const (
	remedyForConsumers = "raise max_consumers of the account, or of the stream (nats stream edit " +
		events.StreamRequests + " --max-consumers=100); or remove consumers: nats consumer ls " + events.StreamRequests
	remedyForResources = "raise max_ha_assets in jetstream { limits } of the servers, or add servers: " +
		"nats server report jetstream"
	remedyForOthers = "see the limits of server and account, and the server's log"
)

// refusedConsumer returns a *[RefusedError] if err is the server's answer, else err.
func refusedConsumer(err error) error {
	answer := answerOf(err)
	switch {
	case answer == nil:
		return err
	case answer.ErrorCode == tooManyConsumers:
		return refused(answer, remedyForConsumers)
	case answer.ErrorCode == insufficientResources:
		return refused(answer, remedyForResources)
	}
	return refused(answer, remedyForOthers)
}

func refused(answer *jetstream.APIError, remedy string) error {
	reason := fmt.Sprintf("%s (JetStream error %d)", answer.Description, answer.ErrorCode)
	return &RefusedError{Err: answer, Reason: reason, Remedy: remedy}
}

// answerOf returns JetStream's answer in an error, or nil.
func answerOf(err error) *jetstream.APIError {
	var answered jetstream.JetStreamError
	if !errors.As(err, &answered) {
		return nil
	}
	return answered.APIError()
}

// codeOf returns the code of JetStream's answer in an error, or 0.
func codeOf(err error) jetstream.ErrorCode {
	if answer := answerOf(err); answer != nil {
		return answer.ErrorCode
	}
	return 0
}

// addCommand is the command of the nats CLI that creates a stream as the service does, but with a limit on its size.
func addCommand(s jetstream.StreamConfig) string {
	options := []string{"nats", "stream", "add", s.Name}
	for _, subject := range s.Subjects {
		options = append(options, "--subjects='"+subject+"'")
	}
	options = append(options, "--storage=file", "--retention=limits")
	if s.Discard == jetstream.DiscardNew {
		options = append(options, "--discard=new")
	} else {
		options = append(options, "--discard=old")
	}
	if s.MaxAge > 0 {
		options = append(options, fmt.Sprintf("--max-age=%dh", s.MaxAge/time.Hour))
	}
	if s.MaxMsgsPerSubject > 0 {
		options = append(options, fmt.Sprintf("--max-msgs-per-subject=%d", s.MaxMsgsPerSubject))
	}
	if s.Duplicates > 0 {
		options = append(options, fmt.Sprintf("--dupe-window=%dh", s.Duplicates/time.Hour))
	}
	if id := s.Metadata[StampMetadata]; id != "" {
		options = append(options, "--metadata="+StampMetadata+"="+id)
	}
	return strings.Join(append(options, fmt.Sprintf("--replicas=%d", s.Replicas), "--max-bytes=1GB", "--defaults"), " ")
}
