package handler

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

const (
	// pageSize is the page size, which bounds memory: the headers of a message are at most 64 KiB.
	pageSize = 256
	// readTimeout is the timeout of one read request to a stream.
	readTimeout = 5 * time.Second
	// pageTimeout is the timeout of a page whose dead letters may just have been removed.
	pageTimeout = 2 * time.Second
	// listTimeout is how long the server may take to list the keys of all dead letters.
	listTimeout = 30 * time.Second
	// minKey is the least number of characters of a key that can select a dead letter.
	minKey = 6
	// wholeKey is the number of characters of a key.
	wholeKey = 64
)

var (
	// ErrNoDeadLetter is wrapped if no dead letter, or more than one, matches the given key.
	ErrNoDeadLetter = errors.New("names no dead letter")
	// ErrGone is wrapped if the dead letter was replayed or removed after it was read, or if the request has failed again
	// and a newer one has replaced it.
	ErrGone = errors.New("the dead letter no longer exists: it was replayed, removed or replaced")
)

// DeadLetters gives an operator access to the stream of dead letters.
type DeadLetters struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	keys   []string // of all dead letters, sorted, once a short key was looked up; see keysWith
}

// OpenDeadLetters returns the stream of dead letters.
func OpenDeadLetters(ctx context.Context, js jetstream.JetStream) (*DeadLetters, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stream, err := js.Stream(ctx, events.StreamDeadLetters)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s does not exist; run the service once to create it", events.StreamDeadLetters)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", events.StreamDeadLetters, ExplainAPIPermission(js, err))
	}
	return &DeadLetters{js: js, stream: stream}, nil
}

// All returns the matching dead letters, oldest first, of those that the stream holds when iteration starts. Later
// ones, for example of a replay that fails, are not included. An error ends the iteration.
func (l *DeadLetters) All(ctx context.Context, f Filter) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		for letter, err := range l.on(ctx, events.SubjectDeadLetterPrefix+">") {
			if err == nil && !f.Match(letter) {
				continue
			}
			if !yield(letter, err) {
				return
			}
		}
	}
}

// Find returns the dead letter with this key or subject, or the only one whose key has this prefix. A prefix of several
// keys matches none of them, even if it equals one of them: a forged message could otherwise pass for another request's
// dead letter. A subject matches exactly. If none matches, the error wraps [ErrNoDeadLetter].
func (l *DeadLetters) Find(ctx context.Context, name string) (DeadLetter, error) {
	key, isSubject := strings.CutPrefix(name, events.SubjectDeadLetterPrefix)
	if !isLiteral(key) {
		return DeadLetter{}, fmt.Errorf("%s %w: give a key as consumer dead-letters list shows it",
			events.Quote(name), ErrNoDeadLetter)
	}
	subject := events.DeadLetterSubject(key)
	if isSubject {
		for letter, err := range l.on(ctx, subject) {
			return letter, err
		}
	}
	if minKey <= len(key) && len(key) < wholeKey {
		keys, err := l.keysWith(ctx, key)
		switch {
		case err != nil:
			return DeadLetter{}, err
		case len(keys) > 1:
			return DeadLetter{}, fmt.Errorf("%s %w alone: the keys %s and %s begin so; give more of it, or a whole subject",
				events.Quote(name), ErrNoDeadLetter, events.Quote(keys[0]), events.Quote(keys[1]))
		case len(keys) == 1:
			subject = events.DeadLetterSubject(keys[0])
		}
	}
	for letter, err := range l.on(ctx, subject) {
		return letter, err
	}
	if len(key) < minKey {
		return DeadLetter{}, fmt.Errorf("%s %w: give at least %d characters of the key",
			events.Quote(name), ErrNoDeadLetter, minKey)
	}
	return DeadLetter{}, fmt.Errorf("%s %w; see consumer dead-letters list", events.Quote(name), ErrNoDeadLetter)
}

// keysWith returns the keys with that prefix, sorted. The server lists all keys once for all prefixes: with many dead
// letters that takes a moment, and reading them takes minutes.
func (l *DeadLetters) keysWith(ctx context.Context, prefix string) (found []string, err error) {
	if l.keys == nil {
		ctx, cancel := context.WithTimeout(ctx, listTimeout)
		defer cancel()
		info, err := l.stream.Info(ctx, jetstream.WithSubjectFilter(events.SubjectDeadLetterPrefix+">"))
		if err != nil {
			return nil, fmt.Errorf("list the dead letters: %w", ExplainAPIPermission(l.js, err))
		}
		l.keys = make([]string, 0, len(info.State.Subjects))
		for subject := range info.State.Subjects {
			l.keys = append(l.keys, strings.TrimPrefix(subject, events.SubjectDeadLetterPrefix))
		}
		slices.Sort(l.keys)
	}
	first, _ := slices.BinarySearch(l.keys, prefix)
	for _, key := range l.keys[first:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		found = append(found, key)
	}
	return found, nil
}

// isLiteral rejects texts that are not a subject, or one with wildcards, which match others too.
func isLiteral(subject string) bool {
	return subject != "" && !strings.ContainsAny(subject, "*>") && !strings.Contains("."+subject+".", "..") &&
		!strings.ContainsFunc(subject, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// Remove removes this dead letter by its sequence, so that a newer one of the same request stays. gone reports that it
// no longer existed.
func (l *DeadLetters) Remove(ctx context.Context, letter DeadLetter) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	deletion := l.stream.DeleteMsg(ctx, letter.Sequence)
	if deletion == nil {
		return false, nil
	}
	// The server uses one error code for "not found" and "not permitted", so a read decides.
	_, err = GetMessage(ctx, l.js, events.StreamDeadLetters, StoredMessage{Sequence: letter.Sequence})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil
	}
	return false, fmt.Errorf("remove message %d of stream %s: %w", letter.Sequence, events.StreamDeadLetters,
		ExplainAPIPermission(l.js, deletion))
}

// Original returns the message that failed, with its own headers as the dead letter has kept them. Its error wraps
// [ErrGone] if the dead letter no longer exists, and [ErrUnreplayable] if the original no longer exists or another
// message has its sequence.
func (l *DeadLetters) Original(ctx context.Context, letter DeadLetter) (*nats.Msg, error) {
	stored, err := GetMessage(ctx, l.js, events.StreamDeadLetters, StoredMessage{Sequence: letter.Sequence})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("read message %d of stream %s: %w", letter.Sequence, events.StreamDeadLetters, err)
	}
	header := originalHeader(stored.Header)
	if letter.Omitted {
		if stored, err = l.omittedOriginal(ctx, letter); err != nil {
			return nil, err
		}
		if header = stored.Header; letter.Replay > 0 { // it is a copy itself
			header = originalHeader(header)
		}
	}
	return &nats.Msg{Subject: letter.Subject, Header: header, Data: stored.Data}, nil
}

func (l *DeadLetters) omittedOriginal(ctx context.Context, letter DeadLetter) (*jetstream.RawStreamMsg, error) {
	if letter.Stream != events.StreamRequests || letter.OriginalSequence == 0 {
		return nil, unreplayable("its headers do not name the original's place in stream %s", events.StreamRequests)
	}
	stored, err := GetMessage(ctx, l.js, letter.Stream, StoredMessage{Sequence: letter.OriginalSequence})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, unreplayable("the original was left in stream %s at sequence %d and is not there any more; "+
			"ask the publisher to request it again", letter.Stream, letter.OriginalSequence)
	}
	if err != nil {
		return nil, fmt.Errorf("read message %d of stream %s: %w", letter.OriginalSequence, letter.Stream, err)
	}
	if err := letter.checkOriginal(stored); err != nil {
		return nil, err
	}
	return stored, nil
}

// on reads in pages the messages on a subject that the stream holds when it starts. No consumer stays open between
// pages: the caller may take hours, for example to replay at a low rate.
func (l *DeadLetters) on(ctx context.Context, subject string) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		last, err := l.last(ctx)
		if err != nil {
			yield(DeadLetter{}, err)
			return
		}
		for next, silent := uint64(1), 0; next <= last; {
			letters, pending, err := l.page(ctx, subject, next)
			if err == nil && pending > 0 && len(letters) == 0 {
				// Either all of them were just removed, or the server has stopped responding.
				if silent++; silent > 1 {
					err = errors.New("the server reports pending messages but sends none")
				}
			}
			if err != nil {
				err = ExplainAPIPermission(l.js, err)
				yield(DeadLetter{}, fmt.Errorf("read stream %s: %w", events.StreamDeadLetters, err))
				return
			}
			if pending == 0 {
				return
			}
			for _, letter := range letters {
				if letter.Sequence > last {
					return
				}
				next, silent = letter.Sequence+1, 0
				if !letter.marker && !yield(letter, nil) {
					return
				}
			}
		}
	}
}

// last returns the sequence of the newest dead letter.
func (l *DeadLetters) last(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", events.StreamDeadLetters, err)
	}
	return info.State.LastSeq, nil
}

// page reads the headers of the next dead letters. pending is the number of dead letters left before the read; 0 means
// the end.
func (l *DeadLetters) page(
	ctx context.Context, subject string, from uint64,
) (letters []DeadLetter, pending uint64, _ error) {
	creating, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	consumer, err := l.js.CreateConsumer(creating, events.StreamDeadLetters, jetstream.ConsumerConfig{
		Description:   "Reader of " + l.js.Conn().Opts.Name,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		FilterSubject: subject, HeadersOnly: true,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		// If this fails, the consumer expires by its InactiveThreshold.
		l.js.DeleteConsumer(ctx, events.StreamDeadLetters, consumer.CachedInfo().Name) //nolint:errcheck // see above
	}()
	// Request no more messages than there are: the pull request would wait for further ones.
	pending = consumer.CachedInfo().NumPending
	if pending == 0 {
		return nil, 0, nil
	}
	messages, err := fetch(ctx, l.js, events.StreamDeadLetters, consumer.CachedInfo().Name,
		int(min(pending, pageSize)), pageTimeout)
	for _, msg := range messages {
		letter, err := newDeadLetter(msg)
		if err != nil {
			return nil, 0, err
		}
		letters = append(letters, letter)
	}
	return letters, pending, err
}
