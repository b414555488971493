package events

import "time"

// Event types. Each is also the subject on which its events are published.
const (
	TypeRequested          = "tenant.requested"
	TypeProvisioned        = "tenant.provisioned"
	TypeProvisioningFailed = "tenant.provisioning_failed"
)

// Names in JetStream: the streams, the durable consumer of requests, and the subject prefix of dead letters. Each dead
// letter has a subject of its own (see [DeadLetterSubject]).
const (
	StreamRequests          = "TENANT_REQUESTS"
	StreamEvents            = "TENANT_EVENTS"
	StreamDeadLetters       = "TENANT_DEAD_LETTERS"
	DurableConsumer         = "tenant-provisioner"
	SubjectDeadLetterPrefix = "tenant.dead_letter."
)

// Isolation strategies.
const (
	IsolationSchema   = "schema"   // a PostgreSQL schema
	IsolationDatabase = "database" // a SQLite file
)

// Requested is the data of a tenant.requested event. For its rules see [Requested.Validate].
type Requested struct {
	TenantID          string `json:"tenant_id"`
	DisplayName       string `json:"display_name"`
	CreatedBy         string `json:"created_by"`
	IsolationStrategy string `json:"isolation_strategy,omitempty"` // empty: the default of the database
	Plan              string `json:"plan,omitempty"`               // empty: the default of the service's plans
}

// Request identifies a request: the CloudEvents source and id of its tenant.requested event.
type Request struct {
	// Source and ID are cut to 1 KiB in events.
	Source string `json:"source"`
	ID     string `json:"id"`
	// Key is the [RequestKey] of the whole source and id. [NewProvisioned] and [NewProvisioningFailed] set it. It is empty
	// in outcomes of earlier versions and in progress events.
	Key string `json:"key,omitempty"`
}

// Step is one step of the pipeline: 0 validates the request, 1 to 5 do the work.
type Step struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
}

// StepTiming is a finished step and its duration in milliseconds.
type StepTiming struct {
	Step
	DurationMS float64 `json:"duration_ms"`
}

// Warning codes.
const (
	// WarnIndexFailed: an index could not be created, or is missing or invalid; the tenant works without it.
	WarnIndexFailed = "INDEX_FAILED"
	// WarnSchemaDiffers: the boundary existed, and differs from the definition in what loses and refuses no row of DocEX,
	// or belongs to another role.
	WarnSchemaDiffers = "SCHEMA_DIFFERS"
	// WarnNotDocEXCompatible: DocEX cannot open the tenant, or opens it but would not have created it; the message says
	// which.
	WarnNotDocEXCompatible = "NOT_DOCEX_COMPATIBLE"
)

// Warning is a problem that does not fail the request, but that an operator should know.
type Warning struct {
	Step    Step   `json:"step"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// PlanLimits are the limits of a plan. The service records them; it does not enforce them.
type PlanLimits struct {
	MaxBytes int64 `json:"max_bytes,omitempty"` // 0: no limit
	MaxRows  int64 `json:"max_rows,omitempty"`  // 0: no limit
}

// Script is an initialisation script that the tenant's boundary has.
type Script struct {
	Name   string `json:"name"`   // of the file
	SHA256 string `json:"sha256"` // of the file, in lower-case hex
}

// Provisioned is the data of a tenant.provisioned event.
type Provisioned struct {
	TenantID          string     `json:"tenant_id"`
	DisplayName       string     `json:"display_name"`
	IsolationStrategy string     `json:"isolation_strategy"`
	SchemaName        string     `json:"schema_name,omitempty"`   // for IsolationSchema
	DatabasePath      string     `json:"database_path,omitempty"` // for IsolationDatabase
	CreatedAt         time.Time  `json:"created_at"`
	CreatedBy         string     `json:"created_by"`
	Plan              string     `json:"plan,omitempty"`       // empty: the service has no plans
	PlanLimits        PlanLimits `json:"plan_limits,omitzero"` // as of the request
	Request           Request    `json:"request"`
	Attempts          int        `json:"attempts"` // attempts that started, this one included
	Replay            int        `json:"replay"`   // 0: the original request; n: its nth replay
	Prepared          bool       `json:"prepared"` // taken from the pool of prepared boundaries
	// Definition is the fingerprint of what the boundary was made by, in lower-case hex: of the definition, with what the
	// initialisation scripts make. It is empty in outcomes of earlier versions.
	Definition string `json:"definition,omitempty"`
	Tables     int    `json:"tables"`
	Indexes    int    `json:"indexes"`
	// Scripts are the initialisation scripts, in the order of their names; nil: the service runs none.
	Scripts []Script `json:"scripts,omitempty"`
	// Seeded are the rows of seed data that were loaded, by table; nil: the service loads none.
	Seeded     map[string]int `json:"seeded,omitempty"`
	Warnings   []Warning      `json:"warnings"`
	Steps      []StepTiming   `json:"steps"`
	DurationMS float64        `json:"duration_ms"` // of the attempt that succeeded, in milliseconds
}

// ProvisioningFailed is the data of a tenant.provisioning_failed event.
type ProvisioningFailed struct {
	TenantID   string     `json:"tenant_id,omitempty"` // absent if undecodable
	Request    *Request   `json:"request,omitempty"`   // absent if undecodable
	Step       Step       `json:"step"`
	Cause      Cause      `json:"cause"`
	Replayable bool       `json:"replayable"` // the same request may succeed later
	Attempts   int        `json:"attempts"`
	Replay     int        `json:"replay"`
	DeadLetter DeadLetter `json:"dead_letter"`
	LeftBehind []string   `json:"left_behind"` // what exists now that did not before
}

// Cause is the reason of a failure. Message is for people; programs branch on Code.
type Cause struct {
	Code    CauseCode `json:"code"`
	Message string    `json:"message"`
	Detail  string    `json:"detail,omitempty"` // the database's own code and text, if there is one
}

// DeadLetter is where the original request is stored.
type DeadLetter struct {
	Stream  string `json:"stream"`
	Subject string `json:"subject"`
}
