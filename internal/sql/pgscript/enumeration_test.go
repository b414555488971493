package pgscript

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/internal/testkit"
)

// source is a file of the grammar's sources, in the version that go.mod names.
func source(t *testing.T, name string) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/wasilibs/go-pgquery").Output()
	testkit.Must(t, err)
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal", "cparser", "include", name))
	testkit.Must(t, err)
	return string(text)
}

// enum are the values of an enumeration of the grammar.
func enum(t *testing.T, name string) []string {
	t.Helper()
	_, text, ok := strings.Cut(source(t, "pg_query_enum_defs.c"), "_enumToString"+name+"(")
	if !ok {
		t.Fatalf("the grammar has no enumeration %s", name)
	}
	text, _, _ = strings.Cut(text, "\n}")
	return matches(`case (\w+):`, text)
}

func matches(pattern, text string) []string {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// A new version of the grammar may have statements and kinds of objects that the tables do not judge yet.
func TestTablesAreComplete(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ got, want []string }{
		"statements": {slices.Sorted(maps.Keys(statements)), matches(`case T_(\w+Stmt):`, source(t, "pg_query_outfuncs_conds.c"))},
		"objects":    {slices.Sorted(maps.Keys(objectKinds)), enum(t, "ObjectType")},
		"SET":        {[]string{"VAR_RESET", "VAR_RESET_ALL", "VAR_SET_CURRENT", "VAR_SET_DEFAULT", "VAR_SET_MULTI", "VAR_SET_VALUE"}, enum(t, "VariableSetKind")},
		"GRANT":      {[]string{"ACL_TARGET_ALL_IN_SCHEMA", "ACL_TARGET_DEFAULTS", "ACL_TARGET_OBJECT"}, enum(t, "GrantTargetType")},
		"REINDEX": {
			[]string{"REINDEX_OBJECT_DATABASE", "REINDEX_OBJECT_INDEX", "REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_TABLE"},
			enum(t, "ReindexObjectType"),
		},
		// All but AT_ChangeOwner change the table alone.
		"ALTER TABLE": {strings.Fields(`AT_AddColumn AT_AddColumnToView AT_AddConstraint AT_AddIdentity AT_AddIndex AT_AddIndexConstraint
			AT_AddInherit AT_AddOf AT_AlterColumnGenericOptions AT_AlterColumnType AT_AlterConstraint AT_AttachPartition AT_ChangeOwner
			AT_CheckNotNull AT_ClusterOn AT_ColumnDefault AT_CookedColumnDefault AT_DetachPartition AT_DetachPartitionFinalize
			AT_DisableRowSecurity AT_DisableRule AT_DisableTrig AT_DisableTrigAll AT_DisableTrigUser AT_DropCluster AT_DropColumn
			AT_DropConstraint AT_DropExpression AT_DropIdentity AT_DropInherit AT_DropNotNull AT_DropOf AT_DropOids AT_EnableAlwaysRule
			AT_EnableAlwaysTrig AT_EnableReplicaRule AT_EnableReplicaTrig AT_EnableRowSecurity AT_EnableRule AT_EnableTrig AT_EnableTrigAll
			AT_EnableTrigUser AT_ForceRowSecurity AT_GenericOptions AT_NoForceRowSecurity AT_ReAddComment AT_ReAddConstraint
			AT_ReAddDomainConstraint AT_ReAddIndex AT_ReAddStatistics AT_ReplaceRelOptions AT_ReplicaIdentity AT_ResetOptions
			AT_ResetRelOptions AT_SetAccessMethod AT_SetCompression AT_SetExpression AT_SetIdentity AT_SetLogged AT_SetNotNull AT_SetOptions
			AT_SetRelOptions AT_SetStatistics AT_SetStorage AT_SetTableSpace AT_SetUnLogged AT_ValidateConstraint`), enum(t, "AlterTableType")},
	} {
		if diff := cmp.Diff(c.got, c.want); diff != "" {
			t.Errorf("%s (-judged +grammar's):\n%s", name, diff)
		}
	}
}

// The statements of PL/pgSQL are judged by what they hold. A new one may hold text that is run.
func TestStatementsOfPLpgSQLAreKnown(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/wasilibs/go-pgquery").Output()
	testkit.Must(t, err)
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal", "cparser", "pg_query_json_plpgsql.c"))
	testkit.Must(t, err)
	want := strings.Fields(`assert assign block call case close commit dynexecute dynfors execsql exit fetch forc foreach_a fori fors
		getdiag if loop open perform raise return return_next return_query rollback while`)
	if diff := cmp.Diff(want, matches(`WRITE_NODE_TYPE\("PLpgSQL_stmt_(\w+)"`, string(text))); diff != "" {
		t.Errorf("(-judged +grammar's):\n%s", diff)
	}
}

// The splitter and the grammar see the same statements, wherever the grammar sees any; and none makes it panic.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", ";", "SELECT 1; SELECT 2", "SELECT E'\\'' ';", "SELECT E'a'\n'\\'' ; SELECT 2", "SELECT $a$;$a$;x", "SELECT a$b$ ; SELECT 1",
		"/* /* */ ; */ SELECT 1;", "SELECT 1 -- ;\n;", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 3; END; SELECT 2",
		"CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2); SELECT 3", `SELECT U&"a;" ; SELECT U&'\0041;'`, "SELECT 1+--\n1; SELECT '",
		"DO $$ DECLARE a t; BEGIN a.b := 1; EXECUTE 'x' || 'y'; END $$", "DO 'BEGIN COMMIT; END'", "SELECT 'a' -- x\n ';' ; SELECT 1", "\\i x\nSELECT 1",
		"SELECT format('%I', 1), 'o.a'::regclass", "SELECT 1;\r\nSELECT \"a\"\"b;\"", "SELECT b'1;', x'1;', n'1;'; SELECT 1", "SELECT $1$$;$$", "SELECT 1e'a;'",
		"CREATE FUNCTION f(a t) RETURNS int LANGUAGE plpgsql AS 'BEGIN a.b = 1; END'", "DO $$ <<l>> BEGIN l.x.y := 1; END $$",
	} {
		f.Add(text)
	}
	if _, err := parseSQL("SELECT 1"); err != nil { // compiles the grammar, which takes longer than an input may
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		j := &judge{place: place{text: text, line: 1}, faults: &faults{}}
		j.script()
		lines := strings.Count(text, "\n") + 1
		for _, fault := range *j.faults {
			if fault.line < 1 || fault.line > lines+strings.Count(text, `\n`) && !strings.ContainsAny(text, `\`) {
				t.Errorf("%q has no line %d: %s", text, fault.line, fault.what)
			}
		}
		if strings.ContainsAny(text, "\\\x00") || grammar.broken != nil {
			return
		}
		trees, err := parseSQL(text)
		if pieces, _ := split(text); err == nil && len(pieces) != len(trees) {
			t.Errorf("%q is split into %d statements, the grammar reads %d", text, len(pieces), len(trees))
		}
		if grammar.broken != nil {
			t.Errorf("%q: %v", text, grammar.broken)
		}
	})
}
