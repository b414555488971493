package events

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/types"

	"example.com/tenant-provisioner/internal/testkit"
)

// sdkMessage is a message as the NATS bindings of sdk-go write it: values of headers unchanged, in structured mode no
// header.
type sdkMessage struct {
	header map[string][]string
	body   bytes.Buffer
}

func (m *sdkMessage) Start(context.Context) error { m.header = map[string][]string{}; return nil }
func (m *sdkMessage) End(context.Context) error   { return nil }

func (m *sdkMessage) SetAttribute(attribute spec.Attribute, value any) error {
	return m.SetExtension(attribute.Name(), value)
}

func (m *sdkMessage) SetExtension(name string, value any) error {
	text, err := types.Format(value)
	m.header["ce-"+name] = []string{text}
	return err
}

func (m *sdkMessage) SetData(data io.Reader) error {
	_, err := m.body.ReadFrom(data)
	return err
}

func (m *sdkMessage) SetStructuredEvent(_ context.Context, _ format.Format, e io.Reader) error {
	_, err := m.body.ReadFrom(e)
	return err
}

// What docs/clients.md says about publishers that use sdk-go.
func TestMessagesOfTheSDK(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{ // in binary mode; empty: refused
		`Zürich "a" b`: `Zürich "a" b`, "order%2042": "order 42", "50% off": "",
	} {
		e, err := NewRequested("/billing/a%20b", id, Requested{TenantID: "acme", DisplayName: "Acme", CreatedBy: "test"})
		testkit.Must(t, err)
		write := func(ctx context.Context) *sdkMessage {
			m := &sdkMessage{}
			_, err := binding.Write(ctx, (*binding.EventMessage)(&e), m, m)
			testkit.Must(t, err)
			return m
		}
		m := write(binding.WithForceBinary(t.Context()))
		testkit.Equal(t, "header", m.header["ce-id"][0], id)
		read, err := Decode(m.header, m.body.Bytes())
		switch {
		case want == "":
			if err == nil || !strings.Contains(err.Error(), "%25") {
				t.Errorf("%s: error %v", id, err)
			}
		case err != nil:
			t.Errorf("%s: %v", id, err)
		default:
			testkit.Equal(t, "id in binary mode", read.ID(), want)
			testkit.Equal(t, "source in binary mode", read.Source(), "/billing/a b")
		}

		m = write(binding.WithForceStructured(t.Context()))
		testkit.Equal(t, "headers in structured mode", len(m.header), 0)
		read, err = Decode(m.header, m.body.Bytes())
		testkit.Must(t, err)
		testkit.Equal(t, "id in structured mode", read.ID(), id)
		testkit.Equal(t, "source in structured mode", read.Source(), "/billing/a%20b")

		header, body, err := EncodeBinary(e)
		testkit.Must(t, err)
		read, err = Decode(header, body)
		testkit.Must(t, err)
		testkit.Equal(t, "id by EncodeBinary", read.ID(), id)
		testkit.Equal(t, "source by EncodeBinary", read.Source(), "/billing/a%20b")
	}
}
