package service

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/telemetry"
	"example.com/tenant-provisioner/internal/testkit"
)

// A step that is added to the list is in the log, in outcomes, on the page, in the metrics, and among the steps that a
// failure can name.
func TestAddedStepIsEverywhere(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	added := pipeline.Step{
		Name: "send_welcome", Title: "welcome", Warnings: []string{"LATE"},
		Run: func(context.Context, *pipeline.Attempt) error {
			if runs.Add(1) > 1 {
				return pipeline.Permanentf(events.CauseInvalidRequest, "the second tenant is not welcome")
			}
			return nil
		},
	}
	steps := slices.Insert(pipeline.Steps(), 4, added)
	last := len(steps) - 1
	c, err := config.Load(t.Context(), envconfig.MapLookuper(map[string]string{
		"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "storage"),
	}))
	testkit.Must(t, err)
	c.NATSURL = natstest.Start(t)
	js := natstest.JetStream(t, c.NATSURL)
	err = c.Topology().Ensure(t.Context(), js)
	testkit.Must(t, err)
	var log testkit.Output
	logger := slog.New(slog.NewTextHandler(&log, nil))
	db, err := database.Open(t.Context(), c, database.NewRegistry{}, nil, logger)
	testkit.Must(t, err)
	defer func() { testkit.Must(t, db.Close()) }()
	counts := telemetry.NewMetrics(steps)
	link, err := natsconn.Connect(t.Context(), c, nil, logger, false)
	testkit.Must(t, err)
	defer link.Close(t.Context())
	h, err := NewHandler(c, c.Topology(), steps, link, db, counts, nil, logger)
	testkit.Must(t, err)
	operatorPage, err := newPage(c, steps, h.Err)
	testkit.Must(t, err)
	defer operatorPage.Close()
	operatorPage.Connect(js)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	defer func() {
		stop()
		testkit.Must(t, testkit.Receive(t, "the handler ends", ended))
	}()

	provisioned, err := events.ProvisionedFrom(outcomeOf(t, js, "acme"))
	testkit.Must(t, err)
	want := events.Step{Number: 4, Name: "send_welcome"}
	if len(provisioned.Steps) != last || provisioned.Steps[3].Step != want { // without step 0
		t.Errorf("steps of the outcome: %+v", provisioned.Steps)
	}
	failed, err := events.FailedFrom(outcomeOf(t, js, "unwelcome"))
	testkit.Must(t, err)
	testkit.Equal(t, "failing step", failed.Step, want)
	testkit.Logs(t, &log, fmt.Sprintf("Step 4/%d: send_welcome", last), fmt.Sprintf("Step %d/%[1]d: register_tenant", last))
	testkit.Eventually(t, "the page shows the step", func() bool {
		html := body(operatorPage.ServeHTTP)
		return strings.Contains(html, "4 welcome") && strings.Contains(html, fmt.Sprint(last, " register")) &&
			strings.Contains(html, "4 send_welcome")
	})
	testkit.Contains(t, "the metrics", body(counts.Handler().ServeHTTP),
		`step_duration_seconds_count{result="ok",step="send_welcome"} 1`,
		`step_duration_seconds_count{result="error",step="send_welcome"} 1`,
		`warnings_total{code="LATE",step="send_welcome"} 0`)
}

// outcomeOf requests a tenant and returns the outcome.
func outcomeOf(t *testing.T, js jetstream.JetStream, tenant string) event.Event {
	t.Helper()
	all, err := js.Conn().SubscribeSync(">")
	testkit.Must(t, err)
	defer func() { testkit.Must(t, all.Unsubscribe()) }()
	e, err := events.NewRequested("/test", tenant,
		events.Requested{TenantID: tenant, DisplayName: "Acme", CreatedBy: "test"})
	testkit.Must(t, err)
	header, data, err := events.Encode(e)
	testkit.Must(t, err)
	_, err = js.PublishMsg(t.Context(), &nats.Msg{Subject: events.TypeRequested, Header: header, Data: data})
	testkit.Must(t, err)
	for {
		msg, err := all.NextMsg(testkit.Patience)
		testkit.Must(t, err)
		if msg.Subject != events.TypeProvisioned && msg.Subject != events.TypeProvisioningFailed {
			continue
		}
		outcome, err := events.Decode(msg.Header, msg.Data)
		testkit.Must(t, err)
		return outcome
	}
}

func body(serve func(http.ResponseWriter, *http.Request)) string {
	recorder := httptest.NewRecorder()
	serve(recorder, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	return recorder.Body.String()
}
