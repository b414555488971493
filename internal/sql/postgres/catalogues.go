package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// catalogueRule is what the tripwire does about rows that a transaction writes to a catalogue. One of the fields is
// set.
type catalogueRule struct {
	// shared is what a row describes that no boundary holds: writing a row is forbidden.
	shared string
	// outside is a condition on the alias o: it selects rows that describe what is outside of the boundary, whose oid is
	// $1. They are searched for those that the transaction has written. id is their object's oid, class its catalogue,
	// and from the catalogue that is searched, if it is another one.
	outside, id, class, from string
	// covered is the reason why another check covers the catalogue.
	covered string
}

// inSchema is the rule of a catalogue whose objects are in a schema.
func inSchema(column string) catalogueRule {
	return catalogueRule{outside: "o." + column + " <> $1", id: "o.oid"}
}

// Reasons why a catalogue needs no look at its rows.
const (
	lockedTable  = "every change locks the table, and the lock is examined"
	lockedObject = "every change locks the object, and the lock is examined"
	withObject   = "its rows come and go with those of another catalogue, which is examined"
	statistics   = "statistics, which ANALYZE collects under a lock on the table"
)

// schemaCatalogue is the catalogue of schemas. Scripts may grant privileges on the tenant's schema, which updates a
// row. They may not create or drop one.
const schemaCatalogue = "pg_namespace"

// catalogueRules are the rules for all catalogues of PostgreSQL 13 to 18. A catalogue that is not among them, because
// the server is newer, is forbidden.
var catalogueRules = map[string]catalogueRule{
	"pg_am":                    {shared: "an access method"},
	"pg_amop":                  {shared: "an operator family"},
	"pg_amproc":                {shared: "an operator family"},
	"pg_auth_members":          {shared: "the membership in a role"},
	"pg_authid":                {shared: "a role or its password"},
	"pg_database":              {shared: "a database"},
	"pg_db_role_setting":       {shared: "a setting of a role or database"},
	"pg_event_trigger":         {shared: "an event trigger"},
	"pg_extension":             {shared: "an extension"},
	"pg_foreign_data_wrapper":  {shared: "a foreign-data wrapper"},
	"pg_foreign_server":        {shared: "a foreign server"},
	"pg_init_privs":            {shared: "the privileges of an extension"},
	"pg_language":              {shared: "a language"},
	"pg_largeobject":           {shared: "a large object"},
	"pg_largeobject_metadata":  {shared: "a large object"},
	"pg_opclass":               {shared: "an operator class"},
	"pg_opfamily":              {shared: "an operator family"},
	"pg_parameter_acl":         {shared: "the privilege to set a parameter"},
	"pg_publication":           {shared: "a publication"},
	"pg_publication_namespace": {shared: "a publication"},
	"pg_publication_rel":       {shared: "a publication"},
	"pg_replication_origin":    {shared: "a replication origin"},
	"pg_shdescription":         {shared: "the comment on a role, database or tablespace"},
	"pg_shseclabel":            {shared: "the security label of a role, database or tablespace"},
	"pg_subscription":          {shared: "a subscription"},
	"pg_subscription_rel":      {shared: "a subscription"},
	"pg_tablespace":            {shared: "a tablespace"},
	"pg_transform":             {shared: "a transform"},
	"pg_ts_parser":             {shared: "a text search parser"},
	"pg_ts_template":           {shared: "a text search template"},
	"pg_user_mapping":          {shared: "a user mapping"},

	schemaCatalogue:    {outside: "o.oid <> $1", id: "o.oid"},
	"pg_class":         {outside: "o.relnamespace NOT IN ($1, 99)", id: "o.oid"}, // of TOAST tables the table is examined
	"pg_collation":     inSchema("collnamespace"),
	"pg_constraint":    inSchema("connamespace"), // of domains; changing those of tables locks the table
	"pg_conversion":    inSchema("connamespace"),
	"pg_default_acl":   inSchema("defaclnamespace"),
	"pg_operator":      inSchema("oprnamespace"),
	"pg_proc":          inSchema("pronamespace"),
	"pg_statistic_ext": inSchema("stxnamespace"),
	"pg_ts_config":     inSchema("cfgnamespace"),
	"pg_ts_dict":       inSchema("dictnamespace"),
	"pg_type":          inSchema("typnamespace"),
	"pg_cast": {
		outside: `NOT EXISTS (SELECT FROM pg_catalog.pg_type t
			WHERE t.oid IN (o.castsource, o.casttarget) AND t.typnamespace = $1)`,
		id: "o.oid",
	},
	"pg_attribute": { // GRANT on a column locks nothing
		outside: "NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = o.attrelid AND c.relnamespace IN ($1, 99))",
		id:      "o.attrelid", class: "pg_class",
	},
	"pg_ts_config_map": { // a mapping that is dropped leaves no row, but the dependencies are written again
		outside: `o.classid = 'pg_catalog.pg_ts_config'::pg_catalog.regclass AND EXISTS (SELECT FROM pg_catalog.pg_ts_config c
			WHERE c.oid = o.objid AND c.cfgnamespace <> $1)`,
		id: "o.objid", class: "pg_ts_config", from: "pg_depend",
	},

	"pg_aggregate":          {covered: withObject},
	"pg_attrdef":            {covered: lockedTable},
	"pg_depend":             {covered: withObject},
	"pg_description":        {covered: lockedObject},
	"pg_enum":               {covered: lockedObject},
	"pg_foreign_table":      {covered: lockedTable},
	"pg_index":              {covered: lockedTable},
	"pg_inherits":           {covered: lockedTable},
	"pg_partitioned_table":  {covered: lockedTable},
	"pg_policy":             {covered: lockedTable},
	"pg_range":              {covered: withObject},
	"pg_rewrite":            {covered: lockedTable},
	"pg_seclabel":           {covered: lockedObject},
	"pg_sequence":           {covered: lockedTable},
	"pg_shdepend":           {covered: withObject},
	"pg_statistic":          {covered: statistics},
	"pg_statistic_ext_data": {covered: statistics},
	"pg_trigger":            {covered: lockedTable},
}

// catalogueOf is a catalogue of the server, with its rule.
type catalogueOf struct {
	oid  oid
	name string
	rule catalogueRule
}

// readCatalogues reads the catalogues that need a look, and their oids.
func readCatalogues(ctx context.Context, db querier, q queries) (all []catalogueOf, err error) {
	rows, err := db.Query(ctx, q.Catalogues)
	if err != nil {
		return nil, err
	}
	var c catalogueOf
	var counted string
	_, err = pgx.ForEachRow(rows, []any{&c.oid, &c.name, &counted}, func() error {
		if counted != "on" {
			return errors.New("track_counts is off, and INIT_SCRIPTS needs the server's counts to detect what a script " +
				"does outside of its tenant: ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf()")
		}
		var known bool
		if c.rule, known = catalogueRules[c.name]; !known {
			c.rule = catalogueRule{shared: "a row of " + c.name}
		}
		if c.rule.covered == "" {
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

// ownRows returns a query for the objects outside of the boundary that the transaction has written to these catalogues:
// class and oid; empty: there is nothing to search. $1 is the boundary's oid.
func (q queries) ownRows(catalogues []catalogueOf) string {
	if len(catalogues) == 0 {
		return ""
	}
	var searches []string
	for _, c := range catalogues {
		searches = append(searches, fmt.Sprintf("SELECT DISTINCT 'pg_catalog.%s'::pg_catalog.regclass::oid::text, %s::text\n"+
			"FROM pg_catalog.%s o\nWHERE o.xmin = ANY ((SELECT ids FROM own)::xid[]) AND %s",
			cmp.Or(c.rule.class, c.name), c.rule.id, cmp.Or(c.rule.from, c.name),
			strings.ReplaceAll(c.rule.outside, "$1", "$1::text::oid")))
	}
	return q.OwnRows + strings.Join(searches, "\nUNION ALL\n")
}
