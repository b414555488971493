package handler

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// rawPublisher can write any header block, also those that the client library rejects.
type rawPublisher struct {
	t       *testing.T
	conn    net.Conn
	answers chan string // lines of the server; closed with the connection
	writing sync.Mutex
}

func (s *natsServer) rawPublisher(t *testing.T) *rawPublisher {
	t.Helper()
	conn, err := s.InProcessConn()
	testkit.Must(t, err)
	p := &rawPublisher{t: t, conn: conn, answers: make(chan string, 16)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.read()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
	testkit.Must(t, p.write(`CONNECT {"verbose":false,"pedantic":false,"headers":true}`+"\r\n"))
	return p
}

// read receives the server's lines, and answers its pings, so that it does not close the connection.
func (p *rawPublisher) read() {
	defer close(p.answers)
	for from := bufio.NewReader(p.conn); ; {
		line, err := from.ReadString('\n')
		switch {
		case err != nil, strings.HasPrefix(line, "PING") && p.write("PONG\r\n") != nil:
			return
		case strings.HasPrefix(line, "PONG"), strings.HasPrefix(line, "-ERR"):
			p.answers <- line
		}
	}
}

func (p *rawPublisher) write(text string) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.conn.SetWriteDeadline(time.Now().Add(testkit.Patience)); err != nil {
		return err
	}
	_, err := p.conn.Write([]byte(text))
	return err
}

// publish publishes a message and waits until the server has processed it. header is the whole block, without the blank
// line that ends it; empty: none.
func (p *rawPublisher) publish(subject, header, body string) {
	p.t.Helper()
	if header != "" {
		header += "\r\n\r\n"
		testkit.Must(p.t, p.write(fmt.Sprintf("HPUB %s %d %d\r\n%s%s\r\nPING\r\n", subject, len(header), len(header)+len(body), header, body)))
	} else {
		testkit.Must(p.t, p.write(fmt.Sprintf("PUB %s %d\r\n%s\r\nPING\r\n", subject, len(body), body)))
	}
	select {
	case answer := <-p.answers:
		if !strings.HasPrefix(answer, "PONG") {
			p.t.Fatalf("the server returned %q", answer)
		}
	case <-time.After(testkit.Patience):
		p.t.Fatal("no response from the server")
	}
}

// statusBlocks are header blocks that a client takes for a status of the server, of every kind that nats.go knows
// (message.go, checkMsg; pull.go, handleStatusMsg; stream.go, convertDirectGetMsgResponseToMsg).
func statusBlocks() map[string]string {
	blocks := map[string]string{
		"inline":            "NATS/1.0 503",
		"inline, text":      "NATS/1.0 409 Consumer Deleted",
		"inline, unknown":   "NATS/1.0 777 Anything",
		"description only":  "NATS/1.0\r\nDescription: Consumer Deleted",
		"lower case":        "NATS/1.0\r\nstatus: 404",
		"twice":             "NATS/1.0\r\nStatus: 100\r\nStatus: 404",
		"blank":             "NATS/1.0\r\nStatus:   ",
		"pin":               "NATS/1.0\r\nNats-Pin-Id: another",
		"stalled":           "NATS/1.0\r\nStatus: 100\r\nNats-Consumer-Stalled: $JS.FC.x",
		"last":              "NATS/1.0\r\nStatus: 100\r\nNats-Last-Consumer: 9\r\nNats-Last-Stream: 9",
		"pending":           "NATS/1.0\r\nStatus: 408\r\nNats-Pending-Messages: 1000000\r\nNats-Pending-Bytes: 9",
		"pending, not int":  "NATS/1.0\r\nStatus: 408\r\nNats-Pending-Messages: x\r\nNats-Pending-Bytes: x",
		"size":              "NATS/1.0\r\nNats-Msg-Size: 5",
		"with an identity":  "NATS/1.0\r\nStatus: 503\r\nce-id: 1\r\nce-source: /x\r\nce-specversion: 1.0\r\nce-type: tenant.requested",
		"not a header":      "NATS/1.0\r\nStatus",
		"not a header line": "NATS/1.0 5\r\nStatus: 503",
	}
	for _, code := range []string{
		"100", "200", "204", "400", "404", "408", "409", "412", "413", "423", "429", "500", "503", "foo", "-1", "0",
	} {
		blocks["status "+code] = "NATS/1.0\r\nStatus: " + code
	}
	for _, text := range []string{
		"Consumer Deleted", "Leadership Change", "Server Shutdown", "Batch Completed", "Message Size Exceeds MaxBytes",
		"Exceeded MaxWaiting", "Exceeded MaxRequestBatch of 1", "Consumer is push based",
	} {
		blocks["409 "+text] = "NATS/1.0\r\nStatus: 409\r\nDescription: " + text
	}
	return blocks
}

// Each such message has an outcome and is acknowledged, and does not block later messages.
func TestMessagesThatLookLikeAStatusAreSettled(t *testing.T) {
	b := newBundle(t)
	b.start()
	raw := b.server.rawPublisher(t)
	blocks := statusBlocks()
	for _, name := range slices.Sorted(maps.Keys(blocks)) {
		raw.publish(events.TypeRequested, blocks[name], "")
	}
	b.publish(b.request("order", "acme"))
	b.eventually("all messages are stored", func() bool {
		return b.streamOf(events.StreamRequests).CachedInfo().State.LastSeq == uint64(len(blocks)+1)
	})
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()),
		fmt.Sprintf("INVALID_REQUEST 1, PROVISIONED 1, UNDECODABLE_EVENT %d", len(blocks)-1))
	testkit.Equal(t, "delivered", b.delivered(), len(blocks)+1)
	testkit.Equal(t, "dead letters", len(b.list(Filter{})), len(blocks))
}

// All readers of a stream return such messages: in pages of headers, in order, one by one; also with allow_direct, for
// which the client library reads in another way.
func TestReadersReturnMessagesThatLookLikeAStatus(t *testing.T) {
	t.Parallel()
	for name, direct := range map[string]bool{"plain": false, "allow_direct": true} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			for _, stream := range []string{events.StreamDeadLetters, events.StreamEvents, events.StreamRequests} {
				config := b.streamOf(stream).CachedInfo().Config
				config.AllowDirect = direct
				_, err := b.js.UpdateStream(t.Context(), config)
				testkit.Must(t, err)
			}
			raw := b.server.rawPublisher(t)
			blocks := statusBlocks()
			names := slices.Sorted(maps.Keys(blocks))
			for i, name := range names {
				raw.publish(events.DeadLetterSubject(fmt.Sprintf("%064x", i)), blocks[name], "")
				raw.publish(events.TypeProvisioned, blocks[name], "")
			}
			ctx := t.Context()
			for _, stream := range []string{events.StreamDeadLetters, events.StreamEvents} {
				b.eventually("all messages are stored", func() bool {
					return b.streamOf(stream).CachedInfo().State.LastSeq == uint64(len(blocks))
				})
			}

			letters := b.list(Filter{})
			testkit.Equal(t, "dead letters listed", len(letters), len(blocks))
			for i, letter := range letters {
				found, err := b.letters().Find(ctx, letter.Key)
				testkit.Must(t, err)
				testkit.Equal(t, "dead letter found: "+names[i], found.Sequence, letter.Sequence)
				if _, err := b.letters().Original(ctx, letter); err != nil {
					t.Errorf("%s: %v", names[i], err)
				}
			}

			reader, err := OpenReader(ctx, b.js, events.StreamEvents, ReadFrom{Start: true})
			testkit.Must(t, err)
			defer reader.Close(ctx)
			for i := range names {
				msg, err := reader.Next(ctx)
				testkit.Must(t, err)
				meta, err := msg.Metadata()
				testkit.Must(t, err)
				testkit.Equal(t, "read in order: "+names[i], meta.Sequence.Stream, uint64(i+1))
				_, err = GetMessage(ctx, b.js, events.StreamEvents, StoredMessage{Sequence: meta.Sequence.Stream})
				testkit.Must(t, err)
			}

			raw.publish(events.TypeRequested, blocks["status 404"], "")
			b.eventually("the oldest request is found", func() bool {
				queue, err := ReadQueue(ctx, b.js)
				testkit.Must(t, err)
				return !queue.Oldest.IsZero()
			})
		})
	}
}

// A reader resumes at its position when its consumer is deleted, or the server restarts.
func TestReaderResumesAtItsPosition(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]ReadFrom{
		"start": {Start: true}, "since": {Since: time.Now().Add(-time.Hour)}, "new": {},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			n := 0
			publish := func(count int) {
				for range count {
					n++
					b.publish(&nats.Msg{Subject: events.TypeProvisioned, Data: fmt.Append(nil, n)})
				}
			}
			ctx, read := t.Context(), 0
			reader, err := OpenReader(ctx, b.js, events.StreamEvents, from)
			testkit.Must(t, err)
			defer reader.Close(ctx)
			readAll := func() {
				for read < n {
					msg, err := reader.Next(ctx)
					testkit.Must(t, err)
					read++
					testkit.Equal(t, "message", string(msg.Data), fmt.Sprint(read))
				}
			}
			// Before the first message, in the middle of a pull request, and after the last message.
			testkit.Must(t, b.js.DeleteConsumer(ctx, events.StreamEvents, reader.consumer))
			publish(readAhead + 50)
			readAll()
			testkit.Must(t, b.js.DeleteConsumer(ctx, events.StreamEvents, reader.consumer))
			publish(3)
			readAll()
			b.server.stop()
			b.server.start(t)
			b.eventually("the server is available", func() bool {
				_, err := b.js.PublishMsg(ctx, &nats.Msg{Subject: events.TypeProvisioned, Data: fmt.Append(nil, n+1)})
				if err == nil {
					n++
				}
				return err == nil
			})
			publish(3)
			// A message published while the server could not confirm it may be stored twice: compare sequences, not contents.
			last := b.streamOf(events.StreamEvents).CachedInfo().State.LastSeq
			for sequence := uint64(read + 1); sequence <= last; sequence++ {
				msg, err := reader.Next(ctx)
				testkit.Must(t, err)
				meta, err := msg.Metadata()
				testkit.Must(t, err)
				testkit.Equal(t, "sequence", meta.Sequence.Stream, sequence)
			}
		})
	}
}

func TestReaderOfAMissingStream(t *testing.T) {
	b := newBundle(t)
	for _, from := range []ReadFrom{{}, {Start: true}} {
		if _, err := OpenReader(t.Context(), b.js, "NOT_THERE", from); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("%+v: %v", from, err)
		}
	}
}
