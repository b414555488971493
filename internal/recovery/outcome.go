package recovery

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// outcome is the outcome of a request in a message of TENANT_EVENTS.
type outcome struct {
	id          string
	key         string // of the request in the ledger; empty: unknown
	tenant      string // as requested: of a failure it may be invalid
	request     events.Request
	replay      int
	provisioned bool
	at          time.Time // of the event
	source      string    // of the event: the service that published it
	sequence    uint64    // in the stream
	digest      digest

	// Of a success: what the registry has.
	boundary  string
	strategy  string
	createdAt time.Time
	createdBy string

	// refused is why this service cannot have published it, so that it is not restored; empty: it can.
	refused string
}

// digest identifies an event by its content: another publisher can give its event the id of another.
type digest [16]byte

func digestOf(e event.Event) digest {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n", e.Type(), e.Source(), e.ID(), e.Time()) //nolint:errcheck // a hash does not fail
	h.Write(e.Data())
	return digest(h.Sum(nil)[:len(digest{})])
}

// acceptID is under what an operator accepts that the ledger lacks the outcome. Ids of others have no limit, columns
// have.
func (o *outcome) acceptID() string { return fmt.Sprintf("%.64s %x", o.id, o.digest) }

// readOutcome reads an outcome. It reports false for a message that is not one.
func readOutcome(msg *jetstream.RawStreamMsg) (o outcome, ok bool) {
	e, err := events.Decode(msg.Header, msg.Data)
	if err != nil || e.Type() != msg.Subject {
		return o, false
	}
	if o, ok = outcomeOf(e); !ok {
		return o, false
	}
	o.sequence = msg.Sequence
	for name := range msg.Header {
		if strings.HasPrefix(strings.ToLower(name), "ce-") && o.refused == "" {
			o.refused = "it is in binary mode, and outcomes are in structured mode"
		}
	}
	return o, true
}

func outcomeOf(e event.Event) (o outcome, ok bool) {
	o = outcome{id: e.ID(), source: e.Source(), at: e.Time(), digest: digestOf(e)}
	var fault string
	switch e.Type() {
	case events.TypeProvisioned:
		data, err := events.ProvisionedFrom(e)
		if err != nil {
			return o, false
		}
		o.provisioned, o.strategy = true, data.IsolationStrategy
		o.tenant, o.request, o.replay = data.TenantID, data.Request, data.Replay
		o.boundary, o.createdAt, o.createdBy = data.SchemaName+data.DatabasePath, data.CreatedAt, data.CreatedBy
		fault = cmp.Or(provisionedFault(data), numberFault(data.Replay, data.Attempts))
	case events.TypeProvisioningFailed:
		data, err := events.FailedFrom(e)
		if err != nil || data.Request == nil { // an undecodable message, which the ledger may no longer have
			return o, err == nil
		}
		o.tenant, o.request, o.replay = data.TenantID, *data.Request, data.Replay
		fault = cmp.Or(failedFault(data), numberFault(data.Replay, data.Attempts))
	default:
		return o, false
	}
	var whole bool
	o.key, whole = keyOf(o.request)
	o.refused = cmp.Or(o.identityFault(whole, e.Type()), fault, timeFault("time", o.at))
	return o, true
}

var keyForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// keyOf returns the request's key in the ledger, and whether source and id are whole. The key is empty if the outcome
// is of no request; or if its ids are long and cut, which ends them in an ellipsis, and the earlier version wrote no
// key.
func keyOf(r events.Request) (key string, whole bool) {
	if r.Source == "" || r.ID == "" {
		return "", false
	}
	isCut := strings.HasSuffix(r.Source, "…") || strings.HasSuffix(r.ID, "…")
	switch key = events.RequestKey(r.Source, r.ID); {
	case !isCut, r.Key == key:
		return key, true
	case keyForm.MatchString(r.Key):
		return r.Key, false
	}
	return "", false
}

// identityFault returns why the ids of the outcome are not those that this service gives; empty: they are.
func (o *outcome) identityFault(whole bool, eventType string) string {
	id, err := uuid.Parse(o.id)
	switch {
	case err != nil || id.String() != o.id:
		return fmt.Sprintf("its id %s is not a UUID", events.Quote(o.id))
	case !whole:
		return ""
	case o.request.Key != "" && o.request.Key != o.key:
		return fmt.Sprintf("its key %s is not that of its request", events.Quote(o.request.Key))
	case o.id != events.OutcomeID(o.request.Source, o.request.ID, o.replay, eventType):
		return fmt.Sprintf("its id %s is not that of this outcome of its request", events.Quote(o.id))
	}
	return ""
}

// provisionedFault returns why no tenant is provisioned with these values; empty: one can be.
func provisionedFault(d events.Provisioned) string {
	err := events.Requested{TenantID: d.TenantID, DisplayName: d.DisplayName, CreatedBy: d.CreatedBy}.Validate()
	if err != nil {
		return err.Error()
	}
	return cmp.Or(timeFault("created_at", d.CreatedAt), planFault(d), scriptsFault(d.Scripts),
		definitionFault(d.Definition))
}

// planFault returns why no tenant has this plan; empty: one can.
func planFault(d events.Provisioned) string {
	limits := d.PlanLimits
	if least, most := min(limits.MaxBytes, limits.MaxRows), max(limits.MaxBytes, limits.MaxRows); least < 0 ||
		most > pipeline.MaxLimit || d.Plan == "" && most > 0 {
		return fmt.Sprintf("it has plan %s with max_bytes %d and max_rows %d", events.Quote(d.Plan), limits.MaxBytes,
			limits.MaxRows)
	}
	return nameFault("plan", d.Plan)
}

// scriptsFault returns why no tenant has these scripts; empty: one can.
func scriptsFault(scripts []events.Script) string {
	for _, s := range scripts {
		hash, err := hex.DecodeString(s.SHA256)
		if s.Name == "" || len(s.Name) > maxFileName || pipeline.Storable(s.Name) != s.Name || err != nil ||
			len(hash) != sha256.Size || strings.ToLower(s.SHA256) != s.SHA256 {
			return fmt.Sprintf("it has a script %s with the SHA-256 %s", events.Quote(s.Name), events.Quote(s.SHA256))
		}
	}
	return ""
}

var definitionForm = regexp.MustCompile(`^([0-9a-f]{16})?$`)

// definitionFault returns why no definition has this fingerprint; empty: one can, or an earlier version wrote none.
func definitionFault(fingerprint string) string {
	if definitionForm.MatchString(fingerprint) {
		return ""
	}
	return "it has the definition " + events.Quote(fingerprint)
}

// maxFileName is the most bytes that file systems allow in the name of a file.
const maxFileName = 255

// failedFault returns why no request fails in this way; empty: one can.
func failedFault(d events.ProvisioningFailed) string {
	return cmp.Or(nameFault("step.name", d.Step.Name), nameFault("cause.code", string(d.Cause.Code)))
}

func nameFault(name, value string) string {
	const most = 50 // characters in ledger and registry
	if utf8.RuneCountInString(value) > most || pipeline.Storable(value) != value {
		return fmt.Sprintf("its %s is %s", name, events.Quote(value))
	}
	return ""
}

func numberFault(replay, attempts int) string {
	if min(replay, attempts) < 0 || max(replay, attempts) > math.MaxInt32 {
		return fmt.Sprintf("it has replay %d and attempts %d", replay, attempts)
	}
	return ""
}

func timeFault(name string, t time.Time) string {
	if year := t.UTC().Year(); t.IsZero() || year < 1 || year > 9999 {
		return fmt.Sprintf("its %s is %s", name, t.UTC().Format(time.RFC3339))
	}
	return ""
}

// clockTolerance is how far the clocks of services and database may differ.
const clockTolerance = time.Hour

// isPruned reports whether the ledger may lack the outcome because requests that were decided before that time were
// pruned. Zero: none were.
func (o *outcome) isPruned(before time.Time) bool {
	return !before.IsZero() && o.at.Before(before.Add(clockTolerance))
}

// supersedes reports whether the outcome counts, and not the other of the same request: the higher replay, and of one
// replay the success.
func (o *outcome) supersedes(other *outcome) bool {
	if o.replay != other.replay {
		return o.replay > other.replay
	}
	return o.provisioned && !other.provisioned
}

// entry returns what the ledger has once the outcome is restored.
func (o *outcome) entry() sql.LedgerEntry {
	entry := sql.LedgerEntry{Key: o.key, State: stateFailed, Replay: o.replay, OutcomeID: o.id}
	if o.provisioned {
		entry.State = stateProvisioned
	}
	return entry
}

// contradicts reports whether the ledger's row has another outcome of the request, which stands.
func (o *outcome) contradicts(entry sql.LedgerEntry) bool {
	return entry.State == stateProvisioned || entry.State == stateFailed && entry.Replay == o.replay && !o.provisioned
}
