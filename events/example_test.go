package events_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// A publisher requests a tenant. JetStream's acknowledgement means that the request is stored; its outcome follows as a
// separate event. If the acknowledgement is lost, publish the same event again.
func ExampleNewRequested() {
	js, stop := startJetStream()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	request, err := events.NewRequested("/billing/signup", "order-1009", events.Requested{
		TenantID:    "acme",
		DisplayName: "Acme Corporation",
		CreatedBy:   "signup@example.com",
	})
	if err != nil {
		log.Print(err) // a *events.RequestError names the field
		return
	}
	header, body, err := events.Encode(request)
	if err != nil {
		log.Print(err)
		return
	}
	ack, err := js.PublishMsg(ctx,
		&nats.Msg{Subject: request.Type(), Header: header, Data: body},
		jetstream.WithMsgID(events.RequestKey(request.Source(), request.ID())))
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(ack.Stream, ack.Sequence)
	// Output: TENANT_REQUESTS 1
}

// A subscriber reacts to outcomes. It acknowledges after it has acted, and stores ids, because an outcome can arrive
// repeatedly.
func ExampleDecode() {
	js, stop := startJetStream()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := publishOutcomes(ctx, js); err != nil {
		log.Print(err)
		return
	}

	consumer, err := js.CreateOrUpdateConsumer(ctx, events.StreamEvents, jetstream.ConsumerConfig{Durable: "welcome-mail"})
	if err != nil {
		log.Print(err)
		return
	}
	seen := map[string]bool{} // in a service, a table in the database that it acts upon
	for range 2 {
		msg, err := consumer.Next(jetstream.FetchContext(ctx))
		if err != nil {
			log.Print(err)
			return
		}
		outcome, err := events.Decode(msg.Headers(), msg.Data())
		if err != nil {
			log.Print(err)
			return
		}
		switch {
		case seen[outcome.ID()]:
		case outcome.Type() == events.TypeProvisioned:
			tenant, err := events.ProvisionedFrom(outcome)
			if err != nil {
				log.Print(err)
				return
			}
			fmt.Println(tenant.TenantID, "is ready in", tenant.SchemaName)
		case outcome.Type() == events.TypeProvisioningFailed:
			failure, err := events.FailedFrom(outcome)
			if err != nil {
				log.Print(err)
				return
			}
			fmt.Println(failure.TenantID, "failed:", failure.Cause.Code)
		}
		seen[outcome.ID()] = true
		if err := msg.DoubleAck(ctx); err != nil {
			log.Print(err)
			return
		}
	}
	// Output:
	// acme is ready in tenant_acme
	// acme failed: TENANT_EXISTS
}

// Validate finds the rule that a request breaks before the request is published.
func ExampleRequested_Validate() {
	err := events.Requested{TenantID: "acme corp", DisplayName: "Acme", CreatedBy: "me"}.Validate()
	var broken *events.RequestError
	if errors.As(err, &broken) {
		fmt.Println(broken.Code)
	}
	fmt.Println(err)
	// Output:
	// INVALID_TENANT_ID
	// tenant_id: "acme corp" is not 1 to 255 of A–Z a–z 0–9 _ -
}

// publishOutcomes stands for the provisioner.
func publishOutcomes(ctx context.Context, js jetstream.JetStream) error {
	for _, name := range []string{"provisioned_schema", "failed_tenant_exists"} {
		body, err := events.Examples.ReadFile("examples/" + name + ".json")
		if err != nil {
			return err
		}
		e, err := events.Decode(nil, body)
		if err != nil {
			return err
		}
		header, body, err := events.Encode(e)
		if err != nil {
			return err
		}
		if _, err := js.PublishMsg(ctx, &nats.Msg{Subject: e.Type(), Header: header, Data: body}, jetstream.WithMsgID(e.ID())); err != nil {
			return err
		}
	}
	return nil
}

// startJetStream runs a server in this process, with the two streams that the examples need.
func startJetStream() (js jetstream.JetStream, stop func()) {
	fail := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "events-example-")
	fail(err)
	s, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true})
	fail(err)
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		fail(errors.New("the server does not start"))
	}
	closed := make(chan struct{})
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	fail(err)
	js, err = jetstream.New(nc)
	fail(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for stream, subjects := range map[string][]string{
		events.StreamRequests: {events.TypeRequested},
		events.StreamEvents:   {events.TypeProvisioned, events.TypeProvisioningFailed},
	} {
		_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: subjects})
		fail(err)
	}
	return js, func() {
		nc.Close()
		<-closed
		s.Shutdown()
		s.WaitForShutdown()
		fail(os.RemoveAll(dir))
	}
}
