package handler

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

const (
	// lettersAtOnce bounds what is read ahead, and so the memory: a header has 64 KiB at most.
	lettersAtOnce = 256
	// readTimeout is how long one request to read from a stream waits for its answer.
	readTimeout = 5 * time.Second
	// pageTimeout is how long a page waits for letters that somebody may just have removed.
	pageTimeout = 2 * time.Second
	// minKey is how much of a key names a dead letter, in characters.
	minKey = 6
	// wholeKey is the length of a key.
	wholeKey = 64
)

var (
	// ErrNoLetter is wrapped where no dead letter, or more than one, has the key that was given.
	ErrNoLetter = errors.New("names no dead letter")
	// ErrGone is wrapped where somebody has replayed or removed the dead letter since it was read, or the
	// request has failed again and a newer one has replaced it.
	ErrGone = errors.New("the dead letter no longer exists: it was replayed, removed or replaced")
)

// DeadLetters is the stream of dead letters in the hands of an operator.
type DeadLetters struct {
	js     jetstream.JetStream
	stream jetstream.Stream
}

// OpenLetters finds the stream.
func OpenLetters(ctx context.Context, js jetstream.JetStream) (*DeadLetters, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stream, err := js.Stream(ctx, events.StreamDeadLetters)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s is not there: run the service once, which creates it", events.StreamDeadLetters)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", events.StreamDeadLetters, ExplainAPIPermission(js.Conn(), err))
	}
	return &DeadLetters{js: js, stream: stream}, nil
}

// All are the dead letters that match, oldest first, of those that the stream holds when it begins: what fails
// meanwhile, such as a replay, is not among them. An error is the last.
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

// Find returns the dead letter with this key or subject, or the only one whose key begins so. What begins the keys of
// several names none of them, also where it is one of these keys: a foreign message could stand for another's dead
// letter. A subject names exactly its own. Otherwise the error wraps [ErrNoLetter].
func (l *DeadLetters) Find(ctx context.Context, name string) (DeadLetter, error) {
	key, isSubject := strings.CutPrefix(name, events.SubjectDeadLetterPrefix)
	if !canBeKey(key) {
		return DeadLetter{}, fmt.Errorf("%s %w: give a key as consumer dead-letters list shows it",
			events.Quote(name), ErrNoLetter)
	}
	subject := events.DeadLetterSubject(key)
	if isSubject {
		for letter, err := range l.on(ctx, subject) {
			return letter, err
		}
	}
	if minKey <= len(key) && len(key) < wholeKey {
		subject = events.SubjectDeadLetterPrefix + ">"
	}
	var found []DeadLetter
	for letter, err := range l.on(ctx, subject) {
		if err != nil {
			return DeadLetter{}, err
		}
		if !strings.HasPrefix(letter.Key, key) {
			continue
		}
		if found = append(found, letter); found[0].Key != letter.Key {
			return DeadLetter{}, fmt.Errorf("%s %w alone: the keys %s and %s begin so; give more of it, or a whole subject",
				events.Quote(name), ErrNoLetter, events.Quote(found[0].Key), events.Quote(letter.Key))
		}
	}
	switch {
	case len(found) > 0:
		return found[len(found)-1], nil // replaced while it was looked for
	case len(key) < minKey:
		return DeadLetter{}, fmt.Errorf("%s %w: give at least %d characters of the key",
			events.Quote(name), ErrNoLetter, minKey)
	}
	return DeadLetter{}, fmt.Errorf("%s %w; see consumer dead-letters list", events.Quote(name), ErrNoLetter)
}

// canBeKey keeps wildcards out, which would name any.
func canBeKey(key string) bool {
	return key != "" && !strings.ContainsAny(key, "*>") && !strings.Contains("."+key+".", "..") &&
		!strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// Remove removes this dead letter, and not one of the same request that has replaced it: its sequence names
// it, where its subject would not. gone: somebody else was faster.
func (l *DeadLetters) Remove(ctx context.Context, letter DeadLetter) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	deletion := l.stream.DeleteMsg(ctx, letter.Sequence)
	if deletion == nil {
		return false, nil
	}
	// The server's codes for "not there" and "not permitted" are one: look.
	_, err = GetMessage(ctx, l.js, events.StreamDeadLetters, StoredMessage{Sequence: letter.Sequence})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil
	}
	return false, fmt.Errorf("remove message %d of stream %s: %w", letter.Sequence, events.StreamDeadLetters,
		ExplainAPIPermission(l.js.Conn(), deletion))
}

// Original returns the message that failed, with its own headers, which are those that the dead letter has kept of
// it. Its error wraps [ErrGone] where the dead letter is gone, and [ErrUnreplayable] where the original is gone, or
// another message has its sequence.
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
		if header = stored.Header; letter.Replay > 0 { // that is a copy itself
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

// on reads what the stream holds on a subject when it begins, by pages. Between them nothing is open: whoever
// reads may take hours, as a replay at a low rate does.
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
				// All of them were removed just now, or the server has gone quiet.
				if silent++; silent > 1 {
					err = errors.New("the server announces messages and sends none")
				}
			}
			if err != nil {
				err = ExplainAPIPermission(l.js.Conn(), err)
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

// last is the sequence of the newest dead letter.
func (l *DeadLetters) last(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", events.StreamDeadLetters, err)
	}
	return info.State.LastSeq, nil
}

// page reads the headers of the next letters. pending is how many there were; without any it is the end.
func (l *DeadLetters) page(
	ctx context.Context, subject string, from uint64,
) (letters []DeadLetter, pending uint64, _ error) {
	looking, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	consumer, err := l.js.CreateConsumer(looking, events.StreamDeadLetters, jetstream.ConsumerConfig{
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
		// It is forgotten soon, anyway.
		l.js.DeleteConsumer(ctx, events.StreamDeadLetters, consumer.CachedInfo().Name) //nolint:errcheck // likewise
	}()
	// Never more than there are: the stream's end would be waited for.
	pending = consumer.CachedInfo().NumPending
	if pending == 0 {
		return nil, 0, nil
	}
	messages, err := fetch(ctx, l.js, events.StreamDeadLetters, consumer.CachedInfo().Name,
		int(min(pending, lettersAtOnce)), pageTimeout)
	for _, msg := range messages {
		letter, err := newLetter(msg)
		if err != nil {
			return nil, 0, err
		}
		letters = append(letters, letter)
	}
	return letters, pending, err
}
