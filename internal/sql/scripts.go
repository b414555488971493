package sql

import (
	"fmt"
	"slices"
	"strings"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// AppliedScript is an initialisation script that registered tenants have.
type AppliedScript struct {
	Name    string // of the file
	SHA256  string // in lower-case hex
	Tenants int    // how many have it
	Example string // the first of them
}

// Scan reads a row as each engine's applied_scripts.sql selects it.
func (a *AppliedScript) Scan(row interface{ Scan(dest ...any) error }) error {
	return row.Scan(&a.Name, &a.SHA256, &a.Tenants, &a.Example)
}

// CompareScripts compares the scripts of today with those that tenants have. A script that some tenant has must not
// change, because tenants made before and after would differ under one name: changed describes each that did. gone
// describes those that are not among today's.
func CompareScripts(today []pipeline.Script, applied []AppliedScript) (changed, gone []string) {
	for _, a := range applied {
		i := slices.IndexFunc(today, func(s pipeline.Script) bool { return s.Name == a.Name })
		switch {
		case i < 0:
			gone = append(gone, fmt.Sprintf("%s, which %s", a.Name, a.had("")))
		case today[i].SHA256 != a.SHA256:
			changed = append(changed, fmt.Sprintf("%s has the SHA-256 %.16s…, but %s with %.16s…", a.Name, today[i].SHA256,
				a.had(" it"), a.SHA256))
		}
	}
	return changed, gone
}

// had says which tenants have what.
func (a AppliedScript) had(what string) string {
	if a.Tenants == 1 {
		return fmt.Sprintf("tenant %q has%s", a.Example, what)
	}
	return fmt.Sprintf("%d tenants (such as %q) have%s", a.Tenants, a.Example, what)
}

// ScriptsDiffer is the fault of scripts that made something else for a tenant than for those of the rehearsal; nil:
// there are no differences.
func ScriptsDiffer(differences []string) error {
	if len(differences) == 0 {
		return nil
	}
	return pipeline.Permanentf(events.CauseInitScriptFailed, "the initialisation scripts make something else for this "+
		"tenant than for those of the rehearsal at start: %s; let them make the same for every tenant, or restart the "+
		"service if what they use has changed since", strings.Join(differences, "; "))
}

// ChangedScripts is the error about scripts that were edited after tenants got them; nil: none was.
func ChangedScripts(changed []string) error {
	if len(changed) == 0 {
		return nil
	}
	return fmt.Errorf("INIT_SCRIPTS: a script that tenants have must not be edited: %s; restore the file (line ends "+
		"count), and put the change into a new one with a higher number", strings.Join(changed, "; "))
}
