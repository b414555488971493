package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
)

// message is a message to publish, with a title to show.
type message struct {
	title string
	msg   *nats.Msg
}

// readMessages reads request events without checking them: the demo shows how the service rejects invalid ones.
func readMessages(files []string, stdin io.Reader) ([]message, error) {
	var all []message
	for _, name := range files {
		var content []byte
		var err error
		if name == "-" {
			content, err = io.ReadAll(stdin)
		} else {
			content, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, usageError(err)
		}
		bodies := splitEvents(content)
		if len(bodies) == 0 {
			return nil, usageError(fmt.Errorf("%s is empty", name))
		}
		for i, body := range bodies {
			all = append(all, message{
				fmt.Sprintf("%s, event %d", name, i+1),
				&nats.Msg{Subject: events.TypeRequested, Data: body},
			})
		}
	}
	return all, nil
}

// splitEvents splits a file into its lines if at least one line is a JSON object by itself. Any other file is one
// event.
func splitEvents(content []byte) [][]byte {
	content = bytes.TrimSpace(content)
	if json.Valid(content) {
		return [][]byte{content}
	}
	var lines [][]byte
	byLine := false
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, line)
			byLine = byLine || line[0] == '{' && json.Valid(line)
		}
	}
	if !byLine && len(content) > 0 {
		return [][]byte{content}
	}
	return lines
}

// samples are the requests of the demo.
func samples() []message {
	binary := func(id, tenant string) *nats.Msg {
		body, err := json.Marshal(events.Requested{TenantID: tenant, DisplayName: "Acme Inc.", CreatedBy: "billing"})
		if err != nil {
			panic(err) // a struct of strings
		}
		return &nats.Msg{Subject: events.TypeRequested, Data: body, Header: nats.Header{
			"ce-specversion": {"1.0"}, "ce-type": {events.TypeRequested}, "ce-source": {"/demo/billing"},
			"ce-id": {id}, "ce-datacontenttype": {"application/json"},
		}}
	}
	return []message{
		{"a new tenant, acme", binary("order-1", "acme")},
		{"the same request, delivered a second time", binary("order-1", "acme")},
		{"another request for acme", binary("order-2", "acme")},
		{"an id that differs from acme only in case", binary("order-3", "Acme")},
		{"a long id", binary("order-4", "a-tenant-with-quite-a-long-id-indeed")},
		{"a reserved id", binary("order-5", "_docex_backup_")},
		{"a malformed id", binary("order-6", "../../etc/passwd")},
		{"a message that is not a CloudEvent", &nats.Msg{Subject: events.TypeRequested, Data: []byte("a tenant, please")}},
	}
}
