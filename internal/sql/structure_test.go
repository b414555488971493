package sql_test

import (
	databasesql "database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// columnsSQL reads the columns of the tenant model in the definition's spelling.
var columnsSQL = map[string]string{
	"postgres": `SELECT table_name || '.' || column_name || ' '
		|| replace(replace(data_type, 'character varying', 'varchar'), ' without time zone', '')
		|| coalesce('(' || character_maximum_length || ')', '')
		|| CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
		|| CASE WHEN column_default LIKE '%now()%' THEN ' = now'
			ELSE coalesce(' = ' || regexp_replace(column_default, '::.*$', ''), '') END
		FROM information_schema.columns WHERE table_schema = 'tenant_model'`,
	"sqlite": `SELECT m.name || '.' || c.name || ' ' || replace(lower(c.type), 'char(32)', 'uuid')
		|| CASE WHEN c."notnull" THEN ' not null' ELSE '' END
		|| CASE WHEN c.dflt_value = 'CURRENT_TIMESTAMP' THEN ' = now'
			WHEN c.type = 'BOOLEAN' THEN ' = ' || CASE c.dflt_value WHEN '1' THEN 'true' ELSE 'false' END
			ELSE coalesce(' = ' || c.dflt_value, '') END
		FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'`,
}

// Each engine's DDL and the definition in Go agree, to the last default.
func TestTablesAreAsDefined(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.provision(t, "model")
		var want []string
		for _, table := range sql.Tables {
			for _, c := range table.Columns {
				line := table.Name + "." + c.Name + " " + c.Type
				if c.NotNull {
					line += " not null"
				}
				if text, is := strings.CutPrefix(c.Default, "'"); is {
					line += " = '" + text + "'"
				} else if c.Default != "" {
					line += " = " + c.Default
				}
				want = append(want, line)
			}
		}
		got := p.lines(t, "model", columnsSQL[p.engine])
		slices.Sort(want)
		slices.Sort(got)
		for _, line := range got {
			if _, found := slices.BinarySearch(want, line); !found {
				t.Errorf("created but not defined: %s", line)
			}
		}
		for _, line := range want {
			if _, found := slices.BinarySearch(got, line); !found {
				t.Errorf("defined but not created: %s", line)
			}
		}
	})
}

func TestMissingBoundaryDiffersInEverything(t *testing.T) {
	t.Parallel()
	got := sql.Compare(nil, sql.Remedies{Create: func(sql.Index) string { return "" }})
	if len(got.Differences) != 11 || len(got.MissingIndexes) != 18 || got.Tables+got.Indexes != 0 {
		t.Errorf("%+v", got)
	}
	if !slices.Contains(got.Differences, "table file_history is missing") {
		t.Error(got.Differences)
	}
}

// Step 2 adds what it can: it creates a dropped table and a dropped index again.
func TestMissingPartsAreAdded(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.provision(t, "torn")
		r.unregister(t, "torn")
		p.raw(t, "torn", "DROP TABLE {b}file_history", "DROP INDEX {b}idx_documents_status")
		if got := r.provision(t, "torn"); got.Tables != 11 || got.Indexes != 18 || len(got.Warnings) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// Step 2 adds columns that accept rows without them: every one of the definition, on tables without rows.
func TestMissingColumnsAreAdded(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.provision(t, "model")
		want := slices.Sorted(slices.Values(p.lines(t, "model", columnsSQL[p.engine])))
		dropped := 0
		for _, table := range sql.Tables {
			for _, c := range table.Columns {
				keyed := slices.ContainsFunc(table.ForeignKeys, func(fk sql.ForeignKey) bool { return fk.Column == c.Name })
				if c.NotNull && c.Default == "" || c.Optional || keyed {
					continue
				}
				for _, x := range sql.Indexes { // SQLite drops no column with an index
					if x.Table == table.Name && x.Column == c.Name {
						p.raw(t, "model", "DROP INDEX {b}"+x.Name)
					}
				}
				p.raw(t, "model", "ALTER TABLE {b}"+table.Name+" DROP COLUMN "+c.Name)
				dropped++
			}
		}
		if dropped < 50 {
			t.Fatalf("only %d columns dropped", dropped)
		}
		r.unregister(t, "model")
		got := r.provision(t, "model")
		if got.Tables != 11 || got.Indexes != 18 || len(got.Warnings) > 0 {
			t.Errorf("%+v", got)
		}
		if got := slices.Sorted(slices.Values(p.lines(t, "model", columnsSQL[p.engine]))); !slices.Equal(got, want) {
			t.Errorf("columns %v, want %v", got, want)
		}
	})
}

// mutation is a change to a finished tenant's structure, with the expected report.
type mutation struct {
	name  string
	since int      // the version of PostgreSQL that has it; 0: all have
	do    []string // statements; on SQLite after the tables are created
	edit  [2]string
	// The expected report: none of these if the boundary is as defined.
	want    string // in the message of SCHEMA_INVALID
	warn    string // the index of the one warning
	differs string // in the one warning of what differs
}

func TestStructureThatDiffersOnPostgres(t *testing.T) { //nolint:tparallel // the mutations share one database
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.open(t).Close())
	// The search_path contains a complete tenant. Missing objects must not be found there.
	p.url += "&search_path=tenant_elsewhere"
	p.open = func(t *testing.T) database { return openPostgres(t, p.url) }
	r := p.newFixture(t)
	r.provision(t, "elsewhere")
	version := p.count(t, "", "SELECT current_setting('server_version_num')::integer / 10000")
	for _, m := range []mutation{
		{
			name: "a view", do: []string{"DROP TABLE {b}file_history", "CREATE VIEW {b}file_history AS SELECT 1 AS id"},
			want: "file_history is a view, want a table",
		},
		{
			name: "a sequence", do: []string{"DROP TABLE {b}file_history", "CREATE SEQUENCE {b}file_history"},
			want: "file_history is a sequence, want a table",
		},
		{
			name: "an index", do: []string{
				"DROP TABLE {b}file_history", "CREATE INDEX file_history ON {b}document (size)",
			},
			want: "file_history is an index, want a table",
		},
		{
			name: "partitioned", do: []string{
				"DROP TABLE {b}file_history",
				"CREATE TABLE {b}file_history (id varchar(36) NOT NULL PRIMARY KEY) PARTITION BY LIST (id)",
			},
			want: "file_history is a partitioned table, want a table",
		},
		{
			name: "a partition", do: []string{
				"CREATE TABLE {b}parts (LIKE {b}route_operations) PARTITION BY LIST (status)",
				"ALTER TABLE {b}parts ATTACH PARTITION {b}route_operations FOR VALUES IN ('ok')",
			},
			want: "route_operations is a partition, want a table",
		},

		{
			name: "column dropped", do: []string{"ALTER TABLE {b}document DROP COLUMN checksum"},
			want: "document.checksum is missing",
		},
		{
			name: "column added", do: []string{"ALTER TABLE {b}docbasket ADD COLUMN extra text"},
			differs: "docbasket.extra is not in the definition",
		},
		{
			name: "column added with a default", do: []string{"ALTER TABLE {b}docbasket ADD COLUMN extra integer NOT NULL DEFAULT 7"},
			differs: "docbasket.extra is not in the definition",
		},
		{
			name: "column added with an identity", do: []string{
				"ALTER TABLE {b}docbasket ADD COLUMN extra bigint GENERATED ALWAYS AS IDENTITY",
			},
			differs: "docbasket.extra is not in the definition",
		},
		{
			name: "column added that refuses rows", do: []string{"ALTER TABLE {b}docbasket ADD COLUMN extra text NOT NULL"},
			want: "docbasket.extra is not in the definition, and refuses rows: it is not null and has no default",
		},
		{
			name: "column added and generated", do: []string{
				"ALTER TABLE {b}document ADD COLUMN extra integer GENERATED ALWAYS AS ((content ->> 'n')::integer) STORED",
			},
			want: "document.extra is not in the definition, and can refuse rows: it is generated",
		},
		{
			name: "column added of a domain", do: []string{
				"CREATE DOMAIN {b}sure AS text CHECK (VALUE IS NOT NULL)", "ALTER TABLE {b}document ADD COLUMN extra {b}sure",
			},
			want: "document.extra is not in the definition, and can refuse rows: it is of a domain",
		},
		{
			name: "a domain", do: []string{
				"CREATE DOMAIN {b}short AS varchar(255) CHECK (VALUE <> '')", "ALTER TABLE {b}docbasket ALTER COLUMN name TYPE {b}short",
			},
			want: "docbasket.name is tenant_a_domain.short of a domain, want varchar(255)",
		},
		{
			name: "an identity", do: []string{"ALTER TABLE {b}document ALTER COLUMN processing_attempts DROP DEFAULT, " +
				"ALTER COLUMN processing_attempts ADD GENERATED BY DEFAULT AS IDENTITY"},
			want: `document.processing_attempts has default identity, want 0`,
		},
		{
			name: "other texts are equal", do: []string{
				"CREATE COLLATION {b}ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
				"ALTER TABLE {b}docbasket ALTER COLUMN name TYPE varchar(255) COLLATE {b}ci",
			},
			want: "docbasket.name is varchar(255) collate ci, want varchar(255)",
		},
		{name: "another order", do: []string{`ALTER TABLE {b}docbasket ALTER COLUMN name TYPE varchar(255) COLLATE "C"`}},
		{
			name: "a path as before", do: []string{"ALTER TABLE {b}document ALTER COLUMN path TYPE varchar(255)"},
			differs: "document: path is narrower than defined (text), so longer values fail: " +
				`ALTER TABLE "tenant_a_path_as_before".document ALTER COLUMN path TYPE text`,
		},
		{
			name: "a path shorter than before", do: []string{"ALTER TABLE {b}document ALTER COLUMN path TYPE varchar(254)"},
			want: "document.path is varchar(254), want text",
		},
		{
			name: "no related_po", do: []string{"ALTER TABLE {b}document DROP COLUMN related_po"},
			differs: "document.related_po is missing, and with it index idx_documents_related_po; DocEX does not use it",
		},
		{
			name: "shorter", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN name TYPE varchar(254)"},
			want: "docbasket.name is varchar(254), want varchar(255)",
		},
		{name: "longer", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN name TYPE varchar(256)"}},
		{name: "unbounded", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN name TYPE text"}},
		{name: "jsonb", do: []string{
			"ALTER TABLE {b}docbasket ALTER COLUMN storage_config TYPE jsonb",
			"ALTER TABLE {b}processors ALTER COLUMN config TYPE jsonb",
		}},
		{name: "timestamptz", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN created_at TYPE timestamptz"}},
		{
			name: "less precise", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN created_at TYPE timestamptz(3)"},
			want: "docbasket.created_at is timestamp(3) with time zone, want timestamp",
		},
		{name: "bigint", do: []string{"ALTER TABLE {b}document ALTER COLUMN size TYPE bigint, " +
			"ALTER COLUMN processing_attempts TYPE bigint"}},
		{
			name: "smallint", do: []string{"ALTER TABLE {b}document ALTER COLUMN size TYPE smallint"},
			want: "document.size is smallint, want integer",
		},
		{
			name: "generated", do: []string{"ALTER TABLE {b}docbasket DROP COLUMN description, " +
				"ADD COLUMN description text GENERATED ALWAYS AS ('x') STORED"},
			want: "docbasket.description is text generated, want text",
		},
		{
			name: "not null dropped", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN storage_config DROP NOT NULL"},
			want: "docbasket.storage_config is nullable, want not null",
		},
		{
			name: "not null added", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN description SET NOT NULL"},
			want: "docbasket.description is not null, want nullable",
		},
		{
			name: "default dropped", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN status DROP DEFAULT"},
			differs: "missing server defaults (DocEX sets these columns itself, other programs must too): docbasket.status",
		},
		{
			name: "other text", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN status SET DEFAULT 'passive'"},
			want: `docbasket.status has default 'passive', want 'active'`,
		},
		{
			name: "other time", do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN created_at SET DEFAULT '2020-01-01'"},
			want: "docbasket.created_at has default",
		},
		{
			name: "time of another function", do: []string{
				"CREATE FUNCTION {b}now() RETURNS timestamp LANGUAGE sql AS 'SELECT ''2020-01-01''::timestamp'",
				"ALTER TABLE {b}docbasket ALTER COLUMN created_at SET DEFAULT {b}now()",
			},
			want: "docbasket.created_at has default",
		},
		{
			name: "other number", do: []string{"ALTER TABLE {b}document ALTER COLUMN processing_attempts SET DEFAULT 1"},
			want: `document.processing_attempts has default 1, want 0`,
		},
		{
			name: "other truth", do: []string{"ALTER TABLE {b}processors ALTER COLUMN enabled SET DEFAULT false"},
			want: `processors.enabled has default false, want true`,
		},

		{
			name: "no primary key", do: []string{"ALTER TABLE {b}route_operations DROP CONSTRAINT route_operations_pkey"},
			want: "route_operations: primary key is (), want (id)",
		},
		{
			name: "other primary key", do: []string{"ALTER TABLE {b}route_operations DROP CONSTRAINT route_operations_pkey, " +
				"ADD PRIMARY KEY (id, status)"},
			want: "route_operations: primary key is (id, status), want (id)",
		},
		{
			name: "unique dropped", do: []string{"ALTER TABLE {b}docbasket DROP CONSTRAINT uq_docbasket_name"},
			want: "docbasket: unique (name) is missing",
		},
		{
			name: "unique added", do: []string{"ALTER TABLE {b}document ADD UNIQUE (path, name)"},
			want: "document: unique (path, name) is not in the definition",
		},
		{
			name: "unique index", do: []string{"CREATE UNIQUE INDEX one_path ON {b}document (path)"},
			want: "document: unique (path) is not in the definition",
		},
		{
			name: "partial unique index", do: []string{"CREATE UNIQUE INDEX one_path ON {b}document (path) WHERE size > 0"},
			want: "document: unique index one_path is not in the definition",
		},
		{
			name: "unique as others compare", do: []string{
				"CREATE COLLATION {b}ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
				"CREATE UNIQUE INDEX once ON {b}docbasket (name COLLATE {b}ci)",
			},
			want: "docbasket: unique index once",
		},
		{
			name: "unique only at commit", do: []string{"ALTER TABLE {b}docbasket DROP CONSTRAINT uq_docbasket_name, " +
				"ADD CONSTRAINT uq_docbasket_name UNIQUE (name) DEFERRABLE"},
			want: "docbasket: unique (name) is missing",
		},
		{
			name: "primary key only at commit", do: []string{"ALTER TABLE {b}route_operations DROP CONSTRAINT route_operations_pkey, " +
				"ADD PRIMARY KEY (id) DEFERRABLE"},
			want: "route_operations: primary key is (), want (id)",
		},
		{
			name: "unique only in part", do: []string{
				"ALTER TABLE {b}docbasket DROP CONSTRAINT uq_docbasket_name",
				"CREATE UNIQUE INDEX uq_docbasket_name ON {b}docbasket (name) WHERE status = 'active'",
			},
			want: "docbasket: unique (name) is missing",
		},

		{
			name: "foreign key dropped", do: []string{
				"ALTER TABLE {b}file_history DROP CONSTRAINT file_history_document_id_fkey",
			},
			want: "file_history: foreign key (document_id) → document on delete no action is missing",
		},
		{
			name: "foreign key added", do: []string{
				"ALTER TABLE {b}route_operations ADD FOREIGN KEY (id) REFERENCES {b}processors",
			},
			want: "route_operations: foreign key (id) → processors on delete no action is not in the definition",
		},
		{
			name: "other action", do: []string{"ALTER TABLE {b}operations DROP CONSTRAINT operations_document_id_fkey, " +
				"ADD FOREIGN KEY (document_id) REFERENCES {b}document (id) ON DELETE SET NULL"},
			want: "operations: foreign key (document_id) → document on delete set null is not in the definition",
		},
		{
			name: "another schema's table", do: []string{
				"ALTER TABLE {b}file_history DROP CONSTRAINT file_history_document_id_fkey, " +
					"ADD FOREIGN KEY (document_id) REFERENCES tenant_elsewhere.document (id)",
			},
			want: "file_history: foreign key (document_id) → tenant_elsewhere.document on delete no action " +
				"is not in the definition",
		},
		{
			name: "foreign key not valid", do: []string{
				"ALTER TABLE {b}file_history DROP CONSTRAINT file_history_document_id_fkey, " +
					"ADD CONSTRAINT lax FOREIGN KEY (document_id) REFERENCES {b}document (id) NOT VALID",
			},
			want: "file_history: foreign key lax, (document_id) → document on delete no action, not valid, is not in the definition",
		},
		{
			name: "another schema's table on update", do: []string{
				"ALTER TABLE {b}file_history ADD CONSTRAINT away FOREIGN KEY (document_id) " +
					"REFERENCES tenant_elsewhere.document (id) ON UPDATE CASCADE DEFERRABLE",
			},
			want: "file_history: foreign key away, (document_id) → tenant_elsewhere.document on delete no action, " +
				"deferrable, on update cascade, is not in the definition",
		},
		{
			name: "composite", do: []string{
				"CREATE TABLE tenant_elsewhere.pairs (id varchar(36), name varchar(255), PRIMARY KEY (id, name))",
				"ALTER TABLE {b}docbasket ADD CONSTRAINT pair FOREIGN KEY (id, name) REFERENCES tenant_elsewhere.pairs",
			},
			want: "docbasket: foreign key (id, name) → tenant_elsewhere.pairs on delete no action is not in the definition",
		},
		{
			name: "a table dropped that others refer to", do: []string{"DROP TABLE {b}processors CASCADE"},
			want: "processing_operations: foreign key (processor_id) → processors on delete cascade is missing",
		},

		{
			name: "check", do: []string{"ALTER TABLE {b}document ADD CONSTRAINT small CHECK (size < 10)"},
			want: "document: constraint small is not in the definition",
		},
		{
			name: "exclusion", do: []string{"ALTER TABLE {b}document ADD CONSTRAINT lone EXCLUDE (path WITH OPERATOR(pg_catalog.=))"},
			want: "document: constraint lone is not in the definition",
		},
		{
			name: "unlogged", do: []string{"ALTER TABLE {b}route_operations SET UNLOGGED"},
			want: "route_operations: UNLOGGED: its rows do not survive a crash",
		},
		{
			name: "key disabled", do: []string{"ALTER TABLE {b}file_history DISABLE TRIGGER ALL"},
			want: "file_history: triggers that check foreign keys are disabled, so it accepts rows that violate them; " +
				`run as a superuser: ALTER TABLE "tenant_key_disabled".file_history ENABLE TRIGGER ALL`,
		},
		{ // the key is another table's, whose rows lose their target
			name: "key's target disabled", do: []string{"ALTER TABLE {b}processors DISABLE TRIGGER ALL"},
			want: "processors: triggers that check foreign keys are disabled",
		},
		{
			name: "key on a replica only", do: []string{
				`DO $$ DECLARE g text; BEGIN FOR g IN SELECT tgname FROM pg_trigger WHERE tgrelid = '{b}route_operations'::regclass
					LOOP EXECUTE format('ALTER TABLE {b}route_operations ENABLE REPLICA TRIGGER %I', g); END LOOP; END $$`,
			},
			want: "route_operations: triggers that check foreign keys are disabled",
		},
		{name: "key always enforced", do: []string{
			`DO $$ DECLARE g text; BEGIN FOR g IN SELECT tgname FROM pg_trigger WHERE tgrelid = '{b}route_operations'::regclass
				LOOP EXECUTE format('ALTER TABLE {b}route_operations ENABLE ALWAYS TRIGGER %I', g); END LOOP; END $$`,
		}},
		{
			name: "key not enforced", since: 18, do: []string{
				"ALTER TABLE {b}file_history ALTER CONSTRAINT file_history_document_id_fkey NOT ENFORCED",
			},
			want: "file_history: foreign key file_history_document_id_fkey, (document_id) → document on delete no action, not valid,",
		},
		{
			name: "not null not valid", since: 18, do: []string{"ALTER TABLE {b}docbasket ALTER COLUMN storage_config DROP NOT NULL, " +
				"ADD CONSTRAINT later NOT NULL storage_config NOT VALID"},
			want: "docbasket: constraint later is not in the definition",
		},
		{
			name: "generated when read", since: 18, do: []string{"ALTER TABLE {b}docbasket DROP COLUMN description, " +
				"ADD COLUMN description text GENERATED ALWAYS AS ('x') VIRTUAL"},
			want: "docbasket.description is text generated, want text",
		},
		{
			name: "row level security", do: []string{"ALTER TABLE {b}document ENABLE ROW LEVEL SECURITY"},
			want: "document: row level security is not in the definition",
		},
		{
			name: "row policies", do: []string{
				"ALTER TABLE {b}document ENABLE ROW LEVEL SECURITY", "CREATE POLICY few ON {b}document USING (size > 0)",
				"CREATE POLICY others ON {b}document USING (size = 0)",
			},
			want: "document: row level security with policy few, others is not in the definition",
		},
		{name: "row policies without effect", do: []string{
			"CREATE POLICY few ON {b}document USING (size > 0)", "ALTER TABLE {b}document FORCE ROW LEVEL SECURITY",
		}},
		{
			name: "a child", do: []string{"CREATE TABLE {b}more () INHERITS ({b}document)"},
			want: "document: child table tenant_a_child.more, whose rows it shows, is not in the definition",
		},
		{name: "a child dropped", do: []string{"CREATE TABLE {b}more () INHERITS ({b}document)", "DROP TABLE {b}more"}},
		{
			name: "a parent", do: []string{
				"CREATE TABLE {b}most (id varchar(36) NOT NULL)", "ALTER TABLE {b}route_operations INHERIT {b}most",
			},
			want: "route_operations: inheritance from tenant_a_parent.most, which shows and changes its rows, is not in the definition",
		},
		{
			name: "no replica identity", do: []string{"ALTER TABLE {b}document REPLICA IDENTITY NOTHING"},
			want: "document: REPLICA IDENTITY NOTHING: once it is published, updates and deletions fail; run ALTER TABLE " +
				`"tenant_no_replica_identity".document REPLICA IDENTITY DEFAULT`,
		},
		{
			name: "constraint trigger", do: []string{
				"CREATE FUNCTION {b}refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
				"CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON {b}document FOR EACH ROW EXECUTE FUNCTION {b}refuse()",
			},
			want: "document: constraint refuse is not in the definition; document: trigger refuse is not in the definition",
		},
		{ // one statement enables it
			name: "trigger disabled", do: []string{
				"CREATE FUNCTION {b}refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
				"CREATE TRIGGER refuse BEFORE INSERT ON {b}document FOR EACH ROW EXECUTE FUNCTION {b}refuse()",
				"ALTER TABLE {b}document DISABLE TRIGGER refuse",
			},
			want: "document: trigger refuse is not in the definition",
		},
		{
			name: "rule disabled", do: []string{
				"CREATE RULE swallow AS ON INSERT TO {b}document DO INSTEAD NOTHING", "ALTER TABLE {b}document DISABLE RULE swallow",
			},
			want: "document: rule swallow is not in the definition",
		},
		{
			name: "another type", do: []string{"ALTER TABLE {b}document ALTER COLUMN content TYPE text"},
			want: "document.content is text, want json",
		},
		{name: "more with a condition", do: []string{
			"CREATE INDEX large ON {b}document (name) WHERE size / 0 > 1",
		}, differs: "document: index large computes an expression or a condition; a row for which that fails is refused"},
		{name: "more over an expression", do: []string{
			"CREATE INDEX numbers ON {b}document (((content ->> 'n')::integer))",
		}, differs: "document: index numbers computes an expression or a condition; a row for which that fails is refused"},
		{name: "other indexes", do: []string{
			"CREATE INDEX latest ON {b}document (basket_id, created_at DESC) INCLUDE (name)", "CREATE INDEX hashed ON {b}document USING hash (path)",
		}},
		{name: "index with another method", do: []string{
			"DROP INDEX {b}idx_documents_status", "CREATE INDEX idx_documents_status ON {b}document USING hash (status)",
		}, warn: "idx_documents_status"},
		{name: "index in another order", do: []string{
			"DROP INDEX {b}idx_documents_status", "CREATE INDEX idx_documents_status ON {b}document (status DESC NULLS LAST)",
		}},
		{
			name: "unique index not valid", do: []string{
				"CREATE UNIQUE INDEX one_path ON {b}document (path)",
				"UPDATE pg_index SET indisvalid = false, indisready = false WHERE indexrelid = '{b}one_path'::regclass",
			},
			want: "document: unique index one_path is not in the definition",
		},
		{name: "index not ready", do: []string{"UPDATE pg_index SET indisready = false " +
			`WHERE indexrelid = '{b}idx_documents_status'::regclass`}, warn: "idx_documents_status"},
		// What changes speed, space, place, replication or rights loses and refuses no row of a table's owner.
		{name: "storage", do: []string{
			"ALTER TABLE {b}document SET (fillfactor = 50, autovacuum_enabled = off)",
			"ALTER TABLE {b}document ALTER COLUMN raw_content SET STORAGE EXTERNAL, ALTER COLUMN raw_content SET COMPRESSION pglz, " +
				"ALTER COLUMN name SET STATISTICS 1, ALTER COLUMN name SET (n_distinct = 5)",
			"ALTER TABLE {b}document REPLICA IDENTITY FULL", "ALTER TABLE {b}document CLUSTER ON idx_documents_status",
			"CREATE STATISTICS {b}both (dependencies) ON name, path FROM {b}document",
		}},
		{name: "access method", do: []string{
			"CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler",
			"DROP TABLE {b}route_operations", "SET default_table_access_method = heap_too",
			"CREATE TABLE {b}route_operations (id varchar(36) NOT NULL PRIMARY KEY, route_id varchar(36) NOT NULL " +
				"REFERENCES {b}transport_routes (id) ON DELETE CASCADE, operation_type varchar(50) NOT NULL, status varchar(20) NOT NULL, " +
				"document_id varchar(255), details json, error text, created_at timestamp NOT NULL DEFAULT now(), completed_at timestamp)",
			"RESET default_table_access_method",
		}},
		{name: "rights and publications", do: []string{
			"REVOKE ALL ON {b}document FROM PUBLIC", "ALTER DEFAULT PRIVILEGES IN SCHEMA tenant_rights_and_publications GRANT SELECT ON TABLES TO PUBLIC",
			"CREATE PUBLICATION few FOR TABLE {b}document", "COMMENT ON TABLE {b}document IS 'x'",
		}},
		{name: "other tables", do: []string{
			"CREATE TABLE {b}mine (id varchar(36) REFERENCES {b}document (id))", "CREATE VIEW {b}shown AS SELECT * FROM {b}document",
			"CREATE SEQUENCE {b}counted", "CREATE TYPE {b}pair AS (a integer, b integer)",
		}},
		{name: "key matched in full", do: []string{"ALTER TABLE {b}file_history DROP CONSTRAINT file_history_document_id_fkey, " +
			"ADD FOREIGN KEY (document_id) REFERENCES {b}document (id) MATCH FULL"}},
		{name: "unique without nulls", do: []string{"ALTER TABLE {b}docbasket DROP CONSTRAINT uq_docbasket_name, " +
			"ADD CONSTRAINT uq_docbasket_name UNIQUE NULLS NOT DISTINCT (name) INCLUDE (status)"}},
		{
			name: "trigger", do: []string{
				"CREATE FUNCTION {b}refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
				"CREATE TRIGGER refuse BEFORE INSERT ON {b}document FOR EACH ROW EXECUTE FUNCTION {b}refuse()",
			},
			want: "document: trigger refuse is not in the definition",
		},
		{
			name: "rule", do: []string{"CREATE RULE swallow AS ON INSERT TO {b}document DO INSTEAD NOTHING"},
			want: "document: rule swallow is not in the definition",
		},

		{name: "index on another column", do: []string{
			"DROP INDEX {b}idx_documents_status",
			"CREATE INDEX idx_documents_status ON {b}document (name)",
		}, warn: "idx_documents_status"},
		{name: "index on two columns", do: []string{
			"DROP INDEX {b}idx_documents_status",
			"CREATE INDEX idx_documents_status ON {b}document (status, name)",
		}, warn: "idx_documents_status"},
		{name: "index on an expression", do: []string{
			"DROP INDEX {b}idx_documents_status",
			"CREATE INDEX idx_documents_status ON {b}document (lower(status))",
		}, warn: "idx_documents_status"},
		{name: "index on another table", do: []string{
			"DROP INDEX {b}idx_documents_status",
			"CREATE INDEX idx_documents_status ON {b}docbasket (status)",
		}, warn: "idx_documents_status"},
		{name: "partial index", do: []string{
			"DROP INDEX {b}idx_documents_status",
			"CREATE INDEX idx_documents_status ON {b}document (status) WHERE size > 0",
		}, warn: "idx_documents_status"},
		{name: "invalid index", do: []string{"UPDATE pg_index SET indisvalid = false " +
			`WHERE indexrelid = '{b}idx_documents_status'::regclass`}, warn: "idx_documents_status"},
		{
			name: "index that is unique", do: []string{
				"DROP INDEX {b}idx_documents_status",
				"CREATE UNIQUE INDEX idx_documents_status ON {b}document (status)",
			},
			want: "document: unique (status) is not in the definition",
		},
	} {
		t.Run(m.name, func(t *testing.T) {
			tenant := strings.ReplaceAll(m.name, " ", "_")
			tenant = strings.ReplaceAll(tenant, "'", "")
			r.provision(t, tenant)
			if version < m.since {
				t.Skipf("PostgreSQL %d does not have it", version)
			}
			r.unregister(t, tenant)
			p.raw(t, tenant, m.do...)
			r.checkMutation(t, tenant, m)
		})
	}
}

// checkMutation provisions into a mutated boundary, and checks that the difference is reported and nothing is changed.
func (r fixture) checkMutation(t *testing.T, tenant string, m mutation) {
	t.Helper()
	before := r.snapshot(t, tenant)
	if m.warn != "" {
		got := r.provision(t, tenant)
		if len(got.Warnings) != 1 || got.Warnings[0].Code != events.WarnIndexFailed || got.Indexes != 17 ||
			!strings.Contains(got.Warnings[0].Message, m.warn) || got.Warnings[0].Step.Name != "validate_schema" {
			t.Errorf("%d indexes, warnings %+v", got.Indexes, got.Warnings)
		}
		return
	}
	if m.want == "" {
		got := r.provision(t, tenant)
		if m.differs == "" && len(got.Warnings) > 0 {
			t.Errorf("warnings %+v", got.Warnings)
		}
		if m.differs != "" && (len(got.Warnings) != 1 || got.Warnings[0].Code != events.WarnSchemaDiffers ||
			!strings.Contains(got.Warnings[0].Message, m.differs) || got.Warnings[0].Step.Name != "validate_schema") {
			t.Errorf("warnings %+v, want %q", got.Warnings, m.differs)
		}
		return
	}
	f := r.expectFailure(t, tenant, events.CauseSchemaInvalid)
	if !strings.Contains(f.Cause.Message, m.want) || !strings.Contains(f.Cause.Message, "Nothing was touched") {
		t.Errorf("message %q, want %q", f.Cause.Message, m.want)
	}
	if f.Step.Name != "create_isolation_boundary" || !f.Replayable || len(f.LeftBehind) != 0 {
		t.Errorf("%+v", f)
	}
	if r.snapshot(t, tenant) != before {
		t.Error("something in the boundary was changed")
	}
}

// What tables could not even reference, or has the name of one, is found before anything is made.
func TestStructureThatConflictsOnPostgres(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	for tenant, docbasket := range map[string]struct{ is, want string }{
		"no_id":     {"CREATE TABLE {b}docbasket (name varchar(255))", "docbasket.id is missing"},
		"no_key":    {"CREATE TABLE {b}docbasket (id varchar(36))", "docbasket: primary key is (), want (id)"},
		"other_id":  {"CREATE TABLE {b}docbasket (id integer PRIMARY KEY)", "docbasket.id is integer, want varchar(36)"},
		"view":      {"CREATE VIEW {b}docbasket AS SELECT 'x'::varchar(36) AS id", "docbasket is a view, want a table"},
		"type":      {"CREATE TYPE {b}docbasket AS (id varchar(36))", "docbasket is a type, want a table"},
		"enum":      {"CREATE TYPE {b}docbasket AS ENUM ('x')", "docbasket is a type, want a table"},
		"domain":    {"CREATE DOMAIN {b}docbasket AS text", "docbasket is a type, want a table"},
		"sequence":  {"CREATE SEQUENCE {b}docbasket", "docbasket is a sequence, want a table"},
		"later":     {"CREATE TABLE {b}docbasket (id varchar(36) PRIMARY KEY DEFERRABLE)", "docbasket: primary key is (), want (id)"},
		"transient": {"CREATE UNLOGGED TABLE {b}docbasket (id varchar(36) PRIMARY KEY)", "docbasket: UNLOGGED"},
	} {
		p.createBoundary(t, tenant)
		p.raw(t, tenant, docbasket.is)
		before := p.snapshot(t, tenant)
		f := r.expectFailure(t, tenant, events.CauseSchemaInvalid)
		if f.Step.Number != 1 || !strings.Contains(f.Cause.Message, docbasket.want) || f.Attempts != 1 {
			t.Errorf("%s: %+v", tenant, f)
		}
		if p.snapshot(t, tenant) != before {
			t.Errorf("%s was changed", tenant)
		}
	}
}

func TestStructureThatDiffersOnSQLite(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	r.provision(t, "model")
	tables := strings.Join(p.lines(t, "model", "SELECT sql FROM sqlite_schema WHERE type = 'table'"), ";\n")
	const history = "CREATE TABLE file_history ("
	drop := func(table string) []string { return []string{"DROP TABLE " + table} }
	for _, m := range []mutation{
		{
			name: "a view", do: append(drop("file_history"), "CREATE VIEW file_history AS SELECT 1 AS id"),
			want: "file_history is a view, want a table",
		},
		{
			name: "column dropped", edit: [2]string{"checksum            VARCHAR(64) NOT NULL,", ""},
			want: "document.checksum is missing",
		},
		{
			name: "column added", edit: [2]string{history, history + "extra TEXT,"},
			differs: "file_history.extra is not in the definition",
		},
		{
			name: "column added with a default", edit: [2]string{history, history + "extra TEXT NOT NULL DEFAULT 'x',"},
			differs: "file_history.extra is not in the definition",
		},
		{
			name: "column added that refuses rows", edit: [2]string{history, history + "extra TEXT NOT NULL,"},
			want: "file_history.extra is not in the definition, and refuses rows: it is not null and has no default",
		},
		{
			name: "column added whose default is null", edit: [2]string{history, history + "extra TEXT NOT NULL DEFAULT (NULL),"},
			want: "file_history.extra is not in the definition, and refuses rows",
		},
		{
			name: "column added and generated", edit: [2]string{history, history + "extra TEXT AS (json(original_path)),"},
			want: "file_history.extra is not in the definition, and can refuse rows: it is generated",
		},
		{
			name: "a path as before", edit: [2]string{"original_path TEXT", "original_path VARCHAR(255)"},
			differs: "file_history: original_path is narrower than defined (text); SQLite enforces no length",
		},
		{
			name: "shorter", edit: [2]string{"original_path TEXT", "original_path VARCHAR(254)"},
			want: "file_history.original_path is varchar(254), want text",
		},
		{name: "longer", edit: [2]string{"checksum            VARCHAR(64)", "checksum CHARACTER VARYING(65)"}},
		{name: "unbounded", edit: [2]string{"checksum            VARCHAR(64)", "checksum TEXT"}},
		{name: "bigint", edit: [2]string{"processing_attempts INTEGER", "processing_attempts BIGINT"}},
		{name: "int", edit: [2]string{"processing_attempts INTEGER", "processing_attempts INT"}},
		{name: "jsonb", edit: [2]string{"storage_config JSON", "storage_config JSONB"}},
		{name: "timestamptz", edit: [2]string{"event_timestamp TIMESTAMP", "event_timestamp TIMESTAMP WITH TIME ZONE"}},
		{
			name: "upper case", edit: [2]string{"CREATE TABLE file_history (\n    id ", "CREATE TABLE File_History (ID "},
		},
		{
			name: "an index", do: append(drop("file_history"), "CREATE INDEX File_History ON document (size)"),
			want: "file_history is an index, want a table",
		},
		{
			name: "no related_po", edit: [2]string{"related_po          VARCHAR(50),", ""},
			differs: "document.related_po is missing, and with it index idx_documents_related_po; DocEX does not use it",
		},
		{
			name: "unique as others compare", edit: [2]string{
				"CREATE TABLE docbasket (\n    id             VARCHAR(36) NOT NULL,\n    name           VARCHAR(255)",
				"CREATE TABLE docbasket (id VARCHAR(36) NOT NULL, name VARCHAR(255) COLLATE NOCASE",
			},
			want: "docbasket: unique (name) is missing; docbasket: COLLATE NOCASE is not in the definition; " +
				"docbasket: unique index sqlite_autoindex_docbasket_2",
		},
		{
			name: "key as others compare", edit: [2]string{history + "\n    id            VARCHAR(36)", history + "id VARCHAR(36) COLLATE NOCASE"},
			want: "file_history: unique index sqlite_autoindex_file_history_1",
		},
		{
			name: "rows dropped", edit: [2]string{"CONSTRAINT uq_docbasket_name UNIQUE (name)", "UNIQUE (name) ON CONFLICT IGNORE"},
			want: "docbasket: an ON CONFLICT clause is not in the definition",
		},
		{
			name: "rows dropped behind a comment", edit: [2]string{
				"CONSTRAINT uq_docbasket_name UNIQUE (name)", "UNIQUE (name) ON/**/CONFLICT -- x\n REPLACE",
			},
			want: "docbasket: an ON CONFLICT clause is not in the definition",
		},
		{
			name: "nulls dropped", edit: [2]string{"checksum            VARCHAR(64) NOT NULL", "checksum VARCHAR(64) NOT NULL ON CONFLICT IGNORE"},
			want: "document: an ON CONFLICT clause is not in the definition",
		},
		{
			name: "deferred key", edit: [2]string{
				"REFERENCES transport_routes (id) ON DELETE CASCADE",
				"REFERENCES transport_routes (id) ON DELETE CASCADE DEFERRABLE/**/INITIALLY\n DEFERRED",
			},
			want: "route_operations: a DEFERRABLE INITIALLY DEFERRED foreign key is not in the definition",
		},
		{name: "keys checked at once", edit: [2]string{
			"FOREIGN KEY (operation_id) REFERENCES operations (id) ON DELETE CASCADE,\n" +
				"    FOREIGN KEY (depends_on) REFERENCES operations (id) ON DELETE CASCADE",
			"FOREIGN KEY (operation_id) REFERENCES operations (id) ON DELETE CASCADE NOT DEFERRABLE INITIALLY DEFERRED,\n" +
				"    FOREIGN KEY (depends_on) REFERENCES operations (id) ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE",
		}},
		{
			name: "other texts are equal", edit: [2]string{"original_path TEXT", "original_path TEXT COLLATE NOCASE"},
			want: "file_history: COLLATE NOCASE is not in the definition",
		},
		{
			name: "quoted texts are equal", edit: [2]string{"original_path TEXT", "original_path TEXT COLLATE/**/\"rtrim\""},
			want: "file_history: COLLATE RTRIM is not in the definition",
		},
		{name: "the same texts are equal", edit: [2]string{
			"original_path TEXT", "original_path TEXT COLLATE binary DEFAULT 'COLLATE NOCASE' -- COLLATE NOCASE\n",
		}},
		{
			name: "strict", do: append(drop("file_history"), "CREATE TABLE file_history (id TEXT NOT NULL PRIMARY KEY, document_id "+
				"TEXT NOT NULL REFERENCES document (id), original_path TEXT, internal_path TEXT, created_at TEXT NOT NULL) STRICT"),
			want: "file_history: STRICT: it refuses values of other types",
		},
		{
			name: "without rowid", do: append(drop("file_history"), "CREATE TABLE file_history (id VARCHAR(36) NOT NULL PRIMARY KEY, "+
				"document_id VARCHAR(36) NOT NULL REFERENCES document (id), original_path TEXT, internal_path TEXT, "+
				"created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) WITHOUT ROWID"),
			differs: "file_history: WITHOUT ROWID: it is stored otherwise; tools that need a rowid fail",
		},
		{
			name: "a number as key", do: append(drop("file_history"), "CREATE TABLE file_history (id INTEGER PRIMARY KEY AUTOINCREMENT, "+
				"document_id VARCHAR(36) NOT NULL REFERENCES document (id), original_path TEXT, internal_path TEXT, "+
				"created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"),
			want: "file_history.id is integer, want varchar(36)",
		},
		{
			name: "a view of nothing", do: append(drop("file_history"), "CREATE VIEW file_history AS SELECT * FROM nowhere"),
			want: "file_history is a view, want a table",
		},
		{name: "other tables", do: []string{
			"CREATE TABLE mine (id VARCHAR(36) PRIMARY KEY REFERENCES document (id) DEFERRABLE INITIALLY DEFERRED, n CHECK (n > 0)) " +
				"WITHOUT ROWID",
			"CREATE VIEW broken AS SELECT * FROM nowhere",
		}},
		{
			name: "more with a condition", do: []string{"CREATE INDEX large ON document (name) WHERE size > 0"},
			differs: "document: index large computes an expression or a condition; a row for which that fails is refused",
		},
		{
			name: "more over an expression", do: []string{"CREATE INDEX numbers ON document (json_extract(content, '$.n'))"},
			differs: "document: index numbers computes an expression or a condition; a row for which that fails is refused",
		},
		{
			name: "another type", edit: [2]string{"storage_config JSON", "storage_config TEXT"},
			want: "docbasket.storage_config is text, want json",
		},
		{
			name: "another uuid", edit: [2]string{"coordination_id CHAR(32)", "coordination_id VARCHAR(36)"},
			want: "document_metadata.coordination_id is varchar(36), want uuid",
		},
		{
			name: "generated", edit: [2]string{"original_path TEXT", "original_path TEXT AS ('x') STORED"},
			want: "file_history.original_path is text generated, want text",
		},
		{
			name: "not null dropped", edit: [2]string{"storage_config JSON NOT NULL", "storage_config JSON"},
			want: "docbasket.storage_config is nullable, want not null",
		},
		{
			name: "not null added", edit: [2]string{"raw_content         TEXT", "raw_content TEXT NOT NULL"},
			want: "document.raw_content is not null, want nullable",
		},
		{
			name: "default dropped", edit: [2]string{"DEFAULT 'file'", ""},
			differs: "missing server defaults (DocEX sets these columns itself, other programs must too): document.document_type",
		},
		{
			name: "other text", edit: [2]string{"DEFAULT 'file'", "DEFAULT 'paper'"},
			want: `document.document_type has default 'paper', want 'file'`,
		},
		{
			name: "other truth", edit: [2]string{"enabled     BOOLEAN NOT NULL DEFAULT 1", "enabled BOOLEAN NOT NULL DEFAULT 0"},
			want: `processors.enabled has default false, want true`,
		},
		{
			name: "other time", edit: [2]string{
				"event_timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP",
				"event_timestamp TIMESTAMP NOT NULL DEFAULT '2020-01-01'",
			},
			want: "doc_events.event_timestamp has default",
		},
		{
			name: "no primary key", do: append(drop("file_history"), "CREATE TABLE file_history (id VARCHAR(36) NOT NULL, "+
				"document_id VARCHAR(36) NOT NULL REFERENCES document, original_path VARCHAR(255), internal_path VARCHAR(255), "+
				"created_at DATETIME NOT NULL DEFAULT (datetime('now')))"),
			want: "file_history: primary key is (), want (id)",
		},
		{
			name: "unique dropped", edit: [2]string{",\n    CONSTRAINT uq_docbasket_name UNIQUE (name)", ""},
			want: "docbasket: unique (name) is missing",
		},
		{
			name: "unique added", edit: [2]string{"original_path TEXT", "original_path TEXT UNIQUE"},
			want: "file_history: unique (original_path) is not in the definition",
		},
		{
			name: "partial unique index", do: []string{"CREATE UNIQUE INDEX one_path ON document (path) WHERE size > 0"},
			want: "document: unique index one_path is not in the definition",
		},
		{
			name: "foreign key dropped", edit: [2]string{
				"FOREIGN KEY (document_id) REFERENCES document (id) ON DELETE CASCADE,\n    FOREIGN KEY (processor_id)",
				"FOREIGN KEY (processor_id)",
			},
			want: "processing_operations: foreign key (document_id) → document on delete cascade is missing",
		},
		{
			name: "foreign key added", edit: [2]string{
				"original_path TEXT", "original_path TEXT REFERENCES processors (id)",
			},
			want: "file_history: foreign key (original_path) → processors on delete no action is not in the definition",
		},
		{
			name: "other action", edit: [2]string{
				"REFERENCES transport_routes (id) ON DELETE CASCADE", "REFERENCES transport_routes (id)",
			},
			want: "route_operations: foreign key (route_id) → transport_routes on delete no action is not in the definition",
		},
		{
			name: "other column", edit: [2]string{"REFERENCES transport_routes (id)", "REFERENCES transport_routes (name)"},
			want: "route_operations: foreign key (route_id) → transport_routes (name) on delete cascade " +
				"is not in the definition",
		},
		{
			name: "on update", edit: [2]string{
				"REFERENCES transport_routes (id)", "REFERENCES transport_routes (id) ON UPDATE CASCADE",
			},
			want: "route_operations: foreign key over route_id (composite or on update) is not in the definition",
		},
		{
			name: "check", edit: [2]string{
				"original_path TEXT", "original_path TEXT CHECK (original_path <> '')",
			},
			want: "file_history: a CHECK constraint is not in the definition",
		},
		{
			name: "check behind a comment", edit: [2]string{
				"original_path TEXT", "original_path TEXT CHECK/* */(original_path <> '')",
			},
			want: "file_history: a CHECK constraint is not in the definition",
		},
		{
			name: "trigger", do: []string{
				"CREATE TRIGGER refuse BEFORE INSERT ON document BEGIN SELECT RAISE(ABORT, 'no'); END",
			},
			want: "document: trigger refuse is not in the definition",
		},
		{
			name: "index on another column", do: []string{"CREATE INDEX idx_documents_status ON document (name)"},
			warn: "idx_documents_status",
		},
		{
			name: "index on two columns", do: []string{"CREATE INDEX idx_documents_status ON document (status, name)"},
			warn: "idx_documents_status",
		},
		{
			name: "index on an expression", do: []string{"CREATE INDEX idx_documents_status ON document (lower(status))"},
			warn: "idx_documents_status",
		},
		{
			name: "index on another table", do: []string{"CREATE INDEX idx_documents_status ON docbasket (status)"},
			warn: "idx_documents_status",
		},
		{
			name: "partial index", do: []string{"CREATE INDEX idx_documents_status ON document (status) WHERE size > 0"},
			warn: "idx_documents_status",
		},
		{
			name: "index that is unique", do: []string{"CREATE UNIQUE INDEX idx_documents_status ON document (status)"},
			want: "document: unique (status) is not in the definition",
		},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			tenant := strings.ReplaceAll(m.name, " ", "_")
			text := tables
			if m.edit[0] != "" {
				text = strings.Replace(tables, m.edit[0], m.edit[1], 1)
				if text == tables {
					t.Fatalf("no table contains %q", m.edit[0])
				}
			}
			p.createBoundary(t, tenant)
			p.raw(t, tenant, text)
			p.raw(t, tenant, m.do...)
			r.checkMutation(t, tenant, m)
		})
	}
}

// The word CHECK alone is not a constraint.
func TestCheckInACommentIsNoConstraint(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	r.provision(t, "model")
	tables := strings.Join(p.lines(t, "model", "SELECT sql FROM sqlite_schema WHERE type = 'table'"), ";\n")
	p.createBoundary(t, "noted")
	p.raw(t, "noted", strings.Replace(tables, "original_path TEXT",
		"/* no CHECK (x) */ \"original_path\" TEXT DEFAULT 'CHECK (y) ON CONFLICT'", 1))
	r.provision(t, "noted")
}

// A file that is in use in WAL mode is accepted.
func TestExistingFileInWALMode(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	testkit.Must(t, os.MkdirAll(filepath.Dir(p.boundary("wal")), 0o755))
	db, err := databasesql.Open("sqlite", p.boundary("wal")+"?_pragma=journal_mode(WAL)")
	testkit.Must(t, err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE mine (n integer)")
	testkit.Must(t, err)
	r.provision(t, "wal")
	_, err = db.Exec("INSERT INTO docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')")
	testkit.Must(t, err)
}
