package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// readStructure reads everything in a schema. In a transaction it reads what the transaction sees, and leaves its
// settings as they were. It fails if the role may not use the schema, because the names in it would be printed with the
// schema's.
func readStructure(ctx context.Context, conn *pgx.Conn, q queries, schema string) (s structure.Structure, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the structure of schema %s: %w", schema, err)
		}
	}()
	before, after := []string{"BEGIN READ ONLY"}, []string{"ROLLBACK"}
	if conn.PgConn().TxStatus() != 'I' {
		before = []string{"SAVEPOINT structure"}
		after = []string{"ROLLBACK TO SAVEPOINT structure", "RELEASE SAVEPOINT structure"}
	}
	// The query is parsed after this: in a transaction, scripts may have set another search_path.
	if err := sendEach(ctx, conn, append(before, "SET LOCAL search_path TO pg_catalog")...); err != nil {
		return s, classify(err)
	}
	c := structureCollector{schema: schema}
	rows, err := conn.Query(ctx, q.structureOf(conn), pgx.QueryResultFormats{pgx.BinaryFormatCode}, schema)
	if err == nil {
		_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (_ struct{}, err error) {
			var o structure.Object
			var properties []*string
			if err = row.Scan(&o.Kind, &o.Parent, &o.Name, &o.Place, &properties); err == nil {
				c.add(o, properties)
			}
			return struct{}{}, err
		})
	}
	if err != nil {
		err = withMissingPrivilege(classify(err), "SELECT on the tables of pg_catalog")
	}
	if endErr := sendEach(ctx, conn, after...); err == nil && endErr != nil {
		err = classify(endErr)
	}
	return structure.New(c.objects, c.unreadable), cmp.Or(err, c.fault())
}

// structureOf returns the query for the server's version.
func (q queries) structureOf(conn *pgx.Conn) string {
	compression, body := "nullif(a.attcompression::text, '')", "pg_catalog.pg_get_function_sqlbody(p.oid)"
	// A pooler may report a version of its own; then the query fails on the oldest servers, which nothing else can tell.
	major, _, _ := strings.Cut(conn.PgConn().ParameterStatus("server_version"), ".")
	if n, err := strconv.Atoi(major); err == nil && n < withCompression {
		compression, body = "NULL", "NULL"
	}
	return strings.NewReplacer("{compression}", compression, "{sql_body}", body).Replace(q.Structure)
}

// withCompression is the first version that has these columns and functions.
const withCompression = 14

// structureCollector interprets the rows of structure.sql.
type structureCollector struct {
	schema         string
	exists, usable bool
	objects        []structure.Object
	unreadable     []string
}

func (c *structureCollector) add(o structure.Object, properties []*string) {
	for i := 0; i+1 < len(properties); i += 2 {
		if value := properties[i+1]; value != nil {
			o.Properties = append(o.Properties, structure.Property{Name: *properties[i], Value: c.value(*properties[i], *value)})
		}
	}
	switch o.Kind {
	case "boundary":
		c.exists, c.usable = true, o.Properties[0].Value == yes
	case "unreadable":
		c.unreadable = append(c.unreadable, o.Name+": "+o.Properties[0].Value)
	default:
		c.objects = append(c.objects, o)
	}
}

func (c *structureCollector) value(property, value string) string {
	switch property {
	case structure.Type:
		return definitionType(value)
	case "settings":
		return c.withoutSchema(value)
	}
	return value
}

// definitionType returns a type, as format_type prints it, in the definition's spelling. A type of another name that
// begins in the same way is quoted.
func definitionType(printed string) string {
	if rest, ok := strings.CutPrefix(printed, "character varying"); ok {
		return "varchar" + rest
	}
	if strings.HasPrefix(printed, "timestamp") {
		return strings.Replace(printed, " without time zone", "", 1)
	}
	return printed
}

// withoutSchema replaces the boundary's own name in the search_path of a function's settings, which are one a line.
func (c *structureCollector) withoutSchema(settings string) string {
	lines := strings.Split(settings, "\n")
	for i, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		if name != "search_path" {
			continue
		}
		schemas := splitNames(value)
		for j, schema := range schemas {
			if schema == c.schema {
				schemas[j] = "(its own schema)"
			} else {
				schemas[j] = quote(schema)
			}
		}
		lines[i] = name + "=" + strings.Join(schemas, ", ")
	}
	return strings.Join(lines, "\n")
}

// splitNames splits a list of names, separated by commas and quoted as in SQL, as search_path has it. Names that are
// not quoted are in lower case.
func splitNames(list string) (names []string) {
	var b strings.Builder
	quoted, wasQuoted := false, false
	end := func() {
		name := b.String()
		if !wasQuoted {
			name = strings.ToLower(strings.TrimSpace(name))
		}
		if name != "" || wasQuoted {
			names = append(names, name)
		}
		b.Reset()
		wasQuoted = false
	}
	for i := 0; i < len(list); i++ {
		switch ch := list[i]; {
		case ch == '"' && quoted && i+1 < len(list) && list[i+1] == '"':
			b.WriteByte(ch)
			i++
		case ch == '"':
			quoted, wasQuoted = !quoted, true
		case ch == ',' && !quoted:
			end()
		case ch == ' ' && !quoted && (wasQuoted || b.Len() == 0):
		default:
			b.WriteByte(ch)
		}
	}
	end()
	return names
}

// fault returns why what was read is not the structure.
func (c *structureCollector) fault() error {
	switch {
	case !c.exists:
		return errors.New("the schema does not exist")
	case !c.usable:
		return &pipeline.Fault{
			Class: pipeline.Permanent, Code: events.CausePermissionDenied,
			Message: missingPrivilege + "USAGE on schema " + quote(c.schema) + ": without it the names of what is in the " +
				"schema cannot be compared",
			DriverCode: insufficientPrivilege,
		}
	}
	return nil
}
