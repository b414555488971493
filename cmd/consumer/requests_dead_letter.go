package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/terminal"
)

// deadLetterView is the JSON form of what the stream of dead letters has of a request.
type deadLetterView struct {
	Status        string    `json:"status"`
	Replay        *int      `json:"replay,omitempty"`        // the number of the replay that failed, if stored
	StreamCreated time.Time `json:"stream_created,omitzero"` // of the stream that exists now
	Error         string    `json:"error,omitempty"`         // why it is unknown
}

const (
	letterStored    = "stored"
	letterNotStored = "not_stored"
	letterUnknown   = "unknown"
)

// letterTimeout is how long requests show waits for NATS.
const letterTimeout = 5 * time.Second

// findDeadLetter looks for the dead letter. It needs NATS, which the rest of the command does not: a failure is part of
// the result.
func findDeadLetter(ctx context.Context, c config.Config, key string) deadLetterView {
	ctx, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	js, end, err := natsconn.Open(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return deadLetterView{Status: letterUnknown, Error: err.Error()}
	}
	defer end()
	s, err := handler.DeadLetterOf(ctx, js, key)
	switch {
	case err != nil:
		return deadLetterView{Status: letterUnknown, Error: err.Error()}
	case s.Stored:
		return deadLetterView{Status: letterStored, Replay: &s.Replay, StreamCreated: s.StreamCreated}
	}
	return deadLetterView{Status: letterNotStored, StreamCreated: s.StreamCreated}
}

// describeDeadLetter states what ledger and stream know of the dead letter, and no more.
func describeDeadLetter(r sql.RequestRecord, letter deadLetterView) string {
	switch {
	case r.DeadLetterConfirmed:
		return "confirmed, key " + r.Key + confirmedIn(r) + since(r, letter)
	case r.State == "failed":
		return "not confirmed, key " + r.Key + map[string]string{
			letterStored:    "; " + events.StreamDeadLetters + " has it",
			letterNotStored: "; not in " + events.StreamDeadLetters,
			letterUnknown:   notKnown(letter),
		}[letter.Status]
	case letter.Status == letterStored:
		return fmt.Sprintf("%s has one of replay %d, an earlier failure, key %s",
			events.StreamDeadLetters, *letter.Replay, r.Key)
	case letter.Status == letterUnknown:
		return "none to be expected" + notKnown(letter)
	case r.State == "provisioned" && r.Replay > 0:
		return fmt.Sprintf("none: replay %d succeeded", r.Replay)
	}
	return "none"
}

// since states what has become of a confirmed dead letter. It is empty if the stream has it.
func since(r sql.RequestRecord, letter deadLetterView) string {
	confirmed, err := time.Parse(time.RFC3339Nano, r.DeadLetterStream)
	switch {
	case letter.Status == letterUnknown:
		return notKnown(letter)
	case letter.Status == letterStored && *letter.Replay != r.Replay:
		return fmt.Sprintf("; %s has one of replay %d", events.StreamDeadLetters, *letter.Replay)
	case letter.Status == letterStored:
		return ""
	case letter.StreamCreated.IsZero():
		return "; stream " + events.StreamDeadLetters + " does not exist any more"
	case err == nil && !letter.StreamCreated.Equal(confirmed):
		return "; the stream was made again " + terminal.Time(letter.StreamCreated) + ", without it"
	}
	return "; no longer in " + events.StreamDeadLetters + ": removed, replayed, expired or purged (the stream keeps no " +
		"record of which, or when)"
}

// notKnown states why it is not known whether the stream has the dead letter.
func notKnown(letter deadLetterView) string {
	return "; whether " + events.StreamDeadLetters + " has it is unknown: " + terminal.Plain(letter.Error)
}

// confirmedIn names the stream of a confirmed dead letter by its creation. It may have been deleted since.
func confirmedIn(r sql.RequestRecord) string {
	created, err := time.Parse(time.RFC3339Nano, r.DeadLetterStream)
	if err != nil { // an earlier version confirmed it
		return ""
	}
	return ", in the stream created " + terminal.Time(created)
}
