package handler

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
)

// DeadLetter is a dead letter without its body, as its headers describe it. The headers are untrusted and may be
// missing: any client with publish permission can put a message into the stream. A missing value is empty or 0.
type DeadLetter struct {
	Key      string // the rest of its subject
	Sequence uint64 // in the stream of dead letters
	Time     time.Time
	Reason   string
	Step     string
	Message  string
	Tenant   string
	Attempts int
	Replay   int
	Header   nats.Header // all headers

	// Of the original. A replay is published to Subject.
	Subject          string
	Stream           string
	OriginalSequence uint64
	Stored           time.Time // by its stream; zero in dead letters of earlier versions
	Omitted          bool      // the original was too large, and is only in its stream
	Size             int       // of the body here, in bytes

	taken  time.Time // stored by the stream of dead letters
	marker bool      // stored by the server itself; see isMarker
}

// newDeadLetter reads a message of the stream that was delivered without its body.
func newDeadLetter(msg *Message) (DeadLetter, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return DeadLetter{}, err
	}
	header := msg.Header
	reason := func(name string) string { return header.Get(deadLetterPrefix + name) }
	number := func(name string) int {
		n, _ := count(reason(name)) // 0 if it is not a number
		return n
	}
	l := DeadLetter{
		Key:      strings.TrimPrefix(msg.Subject, events.SubjectDeadLetterPrefix),
		Sequence: meta.Sequence.Stream,
		Time:     meta.Timestamp.UTC(), taken: meta.Timestamp,
		Reason: reason("Reason"), Step: reason("Step"), Tenant: reason("Tenant"),
		Message:  readHeaderText(reason("Message")),
		Attempts: number("Attempts"), Replay: number("Replay"),
		Subject: reason("Subject"), Stream: reason("Stream"),
		Header: header, Omitted: header.Get(omittedHeader) != "",
	}
	if t, err := time.Parse(time.RFC3339Nano, reason("Time")); err == nil {
		l.Time = t.UTC()
	}
	if t, err := time.Parse(time.RFC3339Nano, header.Get(storedHeader)); err == nil {
		l.Stored = t.UTC()
	}
	l.OriginalSequence, _ = strconv.ParseUint(reason("Sequence"), 10, 64) // on an error 0, which no message has
	if sizes := header.Values(nats.MsgSize); len(sizes) > 0 {
		l.Size, _ = count(sizes[len(sizes)-1]) // the last one is the server's own
		delete(header, nats.MsgSize)
	}
	l.marker = l.Size == 0 && isMarker(msg)
	return l, nil
}

// count parses a count from 0 to 2^31-1: digits only.
func count(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}

// Filter selects dead letters. An empty list, or a zero Since, matches all.
type Filter struct {
	Reasons []string  // cause codes, any of them
	Tenants []string  // ids as requested, any of them
	Since   time.Time // failed at or after it; without a failure time: stored at or after it
}

// Match reports whether the filter selects the dead letter.
func (f Filter) Match(l DeadLetter) bool {
	// In the header the id is escaped and truncated.
	isTenant := func(id string) bool { return headerText(id) == l.Tenant }
	return (len(f.Reasons) == 0 || slices.Contains(f.Reasons, l.Reason)) &&
		(len(f.Tenants) == 0 || slices.ContainsFunc(f.Tenants, isTenant)) &&
		!l.Time.Before(f.Since)
}
