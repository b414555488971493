package sql

// Column types, in the definition's spelling. Each engine translates the types of its catalogue into these.
const (
	Text      = "text"
	Integer   = "integer"
	Boolean   = "boolean"
	JSON      = "json"
	UUID      = "uuid"
	Timestamp = "timestamp" // without time zone, UTC

	id          = "varchar(36)"
	varchar20   = "varchar(20)"
	varchar50   = "varchar(50)"
	varchar64   = "varchar(64)"
	varchar100  = "varchar(100)"
	varchar255  = "varchar(255)"
	noDefault   = ""
	defaultText = "'" // prefix of a text default; distinguishes 'true' from true
)

// DefaultNow stands for any default that evaluates to the current time.
const DefaultNow = "now"

// Foreign key actions.
const (
	NoAction = "no action"
	Cascade  = "cascade"
)

// Column is a column of the definition, or of a table that was found.
type Column struct {
	Name    string
	Type    string
	NotNull bool
	Default string // DefaultNow, a number, true, false, 'text or another expression; empty: none, or any is accepted
	// Earlier is a narrower type that DocEX or an earlier version gave this column. What exists may keep it.
	Earlier string
	// Optional: DocEX does not make this column, so what exists may lack it.
	Optional bool
}

// ForeignKey is a reference to the primary key of another table of the same boundary.
type ForeignKey struct {
	Column   string
	Table    string
	OnDelete string
}

// Table is a table of the definition. Its primary key is id.
type Table struct {
	Name        string
	Columns     []Column
	Unique      []string // single columns
	ForeignKeys []ForeignKey
}

// Index is an index of the definition, on one column.
type Index struct {
	Name   string
	Table  string
	Column string
}

// col is a nullable column; nn is one that is not null, with an optional default.
func col(name, typ string) Column { return Column{Name: name, Type: typ} }

func nn(name, typ string, def ...string) Column {
	c := Column{Name: name, Type: typ, NotNull: true}
	if len(def) > 0 {
		c.Default = def[0]
	}
	return c
}

// widened is a column of a path. Earlier versions and older DocEX made it varchar(255).
func widened(c Column) Column {
	c.Earlier = varchar255
	return c
}

// optional is a column that DocEX does not make.
func optional(c Column) Column {
	c.Optional = true
	return c
}

func created() Column { return nn("created_at", Timestamp, DefaultNow) }
func updated() Column { return nn("updated_at", Timestamp, DefaultNow) }

func quoted(text string) string { return defaultText + text }

// Tables is the definition of a tenant's tables, in an order in which they can be created.
var Tables = []Table{
	{
		Name: "docbasket",
		Columns: []Column{
			nn("id", id), nn("name", varchar255), col("description", Text), nn("storage_config", JSON),
			nn("status", varchar50, quoted("active")), created(), updated(),
		},
		Unique: []string{"name"},
	},
	{
		Name: "document",
		Columns: []Column{
			nn("id", id), nn("basket_id", id), nn("name", varchar255), widened(nn("source", Text)),
			widened(nn("path", Text)), col("content_type", varchar100),
			nn("document_type", varchar50, quoted("file")), col("content", JSON), col("raw_content", Text),
			col("size", Integer), nn("checksum", varchar64), optional(col("related_po", varchar50)),
			nn("status", varchar50, quoted("active")), nn("processing_attempts", Integer, "0"),
			created(), updated(),
		},
		ForeignKeys: []ForeignKey{{"basket_id", "docbasket", NoAction}},
	},
	{
		Name: "document_metadata",
		Columns: []Column{
			nn("id", id), nn("document_id", id), nn("key", varchar255), nn("value", Text),
			nn("metadata_type", varchar50, quoted("custom")), col("coordination_id", UUID),
			created(), updated(),
		},
		ForeignKeys: []ForeignKey{{"document_id", "document", NoAction}},
	},
	{
		Name: "file_history",
		Columns: []Column{
			nn("id", id), nn("document_id", id), widened(col("original_path", Text)),
			widened(col("internal_path", Text)), created(),
		},
		ForeignKeys: []ForeignKey{{"document_id", "document", NoAction}},
	},
	{
		Name: "operations",
		Columns: []Column{
			nn("id", id), nn("document_id", id), nn("operation_type", varchar100), nn("status", varchar50),
			col("details", JSON), col("error", Text), created(), col("completed_at", Timestamp),
		},
		ForeignKeys: []ForeignKey{{"document_id", "document", Cascade}},
	},
	{
		Name:    "operation_dependencies",
		Columns: []Column{nn("id", id), nn("operation_id", id), nn("depends_on", id), created()},
		ForeignKeys: []ForeignKey{
			{"operation_id", "operations", Cascade},
			{"depends_on", "operations", Cascade},
		},
	},
	{
		Name: "doc_events",
		Columns: []Column{
			nn("id", id), nn("basket_id", id), col("document_id", id), nn("event_type", varchar50),
			nn("event_timestamp", Timestamp, DefaultNow), col("data", JSON),
			nn("source", varchar50, quoted("docex")), nn("status", varchar20, quoted("PENDING")),
			col("error_message", Text), created(), updated(),
		},
		ForeignKeys: []ForeignKey{
			{"basket_id", "docbasket", Cascade},
			{"document_id", "document", NoAction},
		},
	},
	{
		Name: "processors",
		Columns: []Column{
			nn("id", id), nn("name", varchar255), nn("type", varchar50), col("description", Text),
			nn("config", JSON, quoted("{}")), nn("enabled", Boolean, "true"), created(), updated(),
		},
		Unique: []string{"name"},
	},
	{
		Name: "processing_operations",
		Columns: []Column{
			nn("id", id), nn("document_id", id), nn("processor_id", id), nn("status", varchar20),
			col("input_metadata", JSON), col("output_metadata", JSON), col("error", Text),
			created(), col("completed_at", Timestamp),
		},
		ForeignKeys: []ForeignKey{
			{"document_id", "document", Cascade},
			{"processor_id", "processors", Cascade},
		},
	},
	{
		Name: "transport_routes",
		Columns: []Column{
			nn("id", id), nn("name", varchar255), nn("purpose", varchar50), nn("protocol", varchar50),
			nn("config", JSON),
			nn("can_upload", Boolean, "false"), nn("can_download", Boolean, "false"),
			nn("can_list", Boolean, "false"), nn("can_delete", Boolean, "false"),
			col("other_party_id", varchar255), col("other_party_name", varchar255),
			col("other_party_type", varchar50),
			nn("route_metadata", JSON, quoted("{}")), nn("tags", JSON, quoted("[]")),
			nn("priority", Integer, "0"), nn("enabled", Boolean, "true"), created(), updated(),
		},
		Unique: []string{"name"},
	},
	{
		Name: "route_operations",
		Columns: []Column{
			nn("id", id), nn("route_id", id), nn("operation_type", varchar50), nn("status", varchar20),
			col("document_id", varchar255), col("details", JSON), col("error", Text),
			created(), col("completed_at", Timestamp),
		},
		ForeignKeys: []ForeignKey{{"route_id", "transport_routes", Cascade}},
	},
}

// Indexes is the definition of a tenant's indexes.
var Indexes = []Index{
	{"idx_documents_basket_id", "document", "basket_id"},
	{"idx_documents_document_type", "document", "document_type"},
	{"idx_documents_status", "document", "status"},
	{"idx_documents_related_po", "document", "related_po"},
	{"idx_file_history_document_id", "file_history", "document_id"},
	{"idx_operations_document_id", "operations", "document_id"},
	{"idx_operations_operation_type", "operations", "operation_type"},
	{"idx_operations_status", "operations", "status"},
	{"idx_operation_dependencies_operation_id", "operation_dependencies", "operation_id"},
	{"idx_operation_dependencies_depends_on", "operation_dependencies", "depends_on"},
	{"idx_doc_events_basket_id", "doc_events", "basket_id"},
	{"idx_doc_events_event_type", "doc_events", "event_type"},
	{"idx_doc_events_document_id", "doc_events", "document_id"},
	{"idx_doc_events_event_timestamp", "doc_events", "event_timestamp"},
	{"idx_doc_events_status", "doc_events", "status"},
	{"idx_document_metadata_document_id", "document_metadata", "document_id"},
	{"idx_document_metadata_key", "document_metadata", "key"},
	{"idx_document_metadata_type", "document_metadata", "metadata_type"},
}
