package postgres

import (
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// What an attempt leaves that failed in its scripts, pages and numbers taken from sequences, neither reaches the next
// tenant that gets the boundary, nor costs the pool a boundary.
func TestBoundaryOfAFailedAttempt(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	c := f.config(prepareLine+"CREATE TABLE made (id serial PRIMARY KEY, v text);;\nINSERT INTO made (v) VALUES ('prepared');;\n"+
		"CREATE SEQUENCE \"it's\" START 7 INCREMENT -3 MAXVALUE 9 CACHE 5 CYCLE;;\nCREATE SEQUENCE moved;;\n"+
		"SELECT setval('moved', 3000000000, false);;\nCREATE TABLE counted (id integer GENERATED ALWAYS AS IDENTITY)",
		"INSERT INTO made (v) VALUES ('asked');;\nCREATE TABLE numbers AS SELECT nextval('\"it''s\"') AS a, nextval('moved') AS b;;\n"+
			"INSERT INTO counted DEFAULT VALUES;;\n"+
			"INSERT INTO docbasket (id, name, storage_config) VALUES ('1', 'b', '{}');;\n"+
			"DO $$ BEGIN IF current_setting('provisioner.tenant_id') = 'refused' THEN RAISE 'no'; END IF; END $$")
	c.Prepared = 1
	s := f.open(c)
	testkit.Must(t, s.RehearseFurther(t.Context()))
	_, err := s.prepareOne(t.Context())
	testkit.Must(t, err)
	for range 2 {
		boundary, err := provision(t.Context(), s, "refused")
		scriptFailed(t, err)
		testkit.Equal(t, "prepared", boundary.Prepared, true)
	}
	boundary, err := provision(t.Context(), s, "acme")
	testkit.Must(t, err)
	testkit.Equal(t, "prepared", boundary.Prepared, true)
	testkit.Equal(t, "rows", f.text("SELECT string_agg(id || ' ' || v, ', ' ORDER BY id) FROM tenant_acme.made"), "1 prepared, 2 asked")
	testkit.Equal(t, "numbers", f.text("SELECT a || ', ' || b FROM tenant_acme.numbers"), "7, 3000000000")
	testkit.Equal(t, "identity", f.text("SELECT id::text FROM tenant_acme.counted"), "1")
	testkit.Equal(t, "baskets", f.text("SELECT count(*)::text FROM tenant_acme.docbasket"), "1")
	testkit.Equal(t, "schemas left", f.text("SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE 'prepared:%'"), "0")
}
