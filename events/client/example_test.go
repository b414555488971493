package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/events/eventstest"
)

// A publisher requests a tenant and awaits the outcome. js is its JetStream handle, made by jetstream.New.
func ExampleClient() {
	js, stop := startJetStream()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	c, err := client.Open(ctx, js)
	check(err)
	defer c.Close()
	request, err := c.Request(ctx, "/billing/signup", "order-1009", events.Requested{
		TenantID: "acme", DisplayName: "Acme Corporation", CreatedBy: "signup@example.com",
	})
	check(err)
	outcome, err := c.Await(ctx, request)
	check(err)
	if outcome.Failed != nil {
		fmt.Println("failed at", outcome.Failed.Step.Name, "by", outcome.Failed.Cause.Code)
		return
	}
	fmt.Println("ready:", outcome.Provisioned.SchemaName)
	// Output: ready: tenant_acme
}

// A connection of the user requester in deploy/nats/server.conf, to a server with TLS first. (It is only compiled: there
// is no such server here.)
func Example_connection() {
	login, err := nats.NkeyOptionFromSeed("requester.nk") // or nats.UserInfo(user, password), nats.UserCredentials(file)
	check(err)
	nc, err := nats.Connect("tls://nats.internal:4222", login, nats.RootCAs("ca.pem"), nats.TLSHandshakeFirst(),
		nats.CustomInboxPrefix("_INBOX_requester"))
	check(err)
	js, err := jetstream.New(nc)
	check(err)

	fmt.Println(js.AccountInfo(context.Background()))
}

// A subscriber reacts to outcomes. It acknowledges after it has acted, and stores ids, because an outcome can arrive
// repeatedly.
func ExampleOutcomes() {
	js, stop := startJetStream()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := client.Request(ctx, js, "/billing", "order-1", events.Requested{
		TenantID: "acme", DisplayName: "Acme", CreatedBy: "me",
	})
	check(err)
	seen := map[string]bool{} // in a service, a table in the database that it acts upon

	outcomes, err := client.Outcomes(ctx, js, client.Options{Durable: "welcome-mail", All: true})
	check(err)
	defer outcomes.Close()
	for range 1 {
		outcome, err := outcomes.Next(ctx)
		check(err)
		if !seen[outcome.ID()] && outcome.Provisioned != nil {
			fmt.Println("welcome,", outcome.Provisioned.DisplayName)
		}
		seen[outcome.ID()] = true
		check(outcome.Ack(ctx))
	}
	// Output: welcome, Acme
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

// exampleT stands for the test that eventstest reports to.
type exampleT struct {
	testing.TB
	ends []func()
}

func (t *exampleT) Helper()                           {}
func (t *exampleT) Context() context.Context          { return context.Background() }
func (t *exampleT) Cleanup(end func())                { t.ends = append(t.ends, end) }
func (t *exampleT) Fatal(args ...any)                 { log.Panic(args...) }
func (t *exampleT) Errorf(format string, args ...any) { log.Panicf(format, args...) }

// startJetStream runs a server in this process, with a service that answers every request.
func startJetStream() (js jetstream.JetStream, stop func()) {
	dir, err := os.MkdirTemp("", "client-example-")
	check(err)
	s, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true})
	check(err)
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		check(errors.New("the server does not start"))
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	check(err)
	js, err = jetstream.New(nc)
	check(err)
	t := &exampleT{}
	eventstest.CreateStreams(t, js)
	eventstest.Serve(t, js, nil)
	return js, func() {
		for _, end := range t.ends {
			end()
		}
		nc.Close()
		s.Shutdown()
		s.WaitForShutdown()
		check(os.RemoveAll(dir))
	}
}
