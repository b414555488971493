package pipeline

import (
	"context"
	"slices"

	"example.com/tenant-provisioner/events"
)

// Step is one step of the pipeline. Its name is its identity for subscribers, metrics and documents. Its number is its
// position in the list that runs.
type Step struct {
	Name     string
	Title    string   // a word or two, for the page
	Warnings []string // the codes of warnings that the step can add to an outcome
	Run      func(ctx context.Context, a *Attempt) error
}

// validateRequestName is the name of step 0, which also reports failures that occur before there is a request.
const validateRequestName = "validate_request"

// The names of the further steps, which a service runs only if its operator configures them.
const (
	RunInitScripts = "run_init_scripts"
	LoadSeedData   = "load_seed_data"
)

// Steps is the ordered list of the steps that a service runs: those of every service, and those of the further steps
// that are named. Step 0 touches nothing; the last one commits. Everything else that depends on steps (numbers, "n/m",
// metrics, the page, events) derives from this list. On failure everything before register_tenant is rolled back.
func Steps(further ...string) []Step {
	return slices.DeleteFunc(AllSteps(), func(s Step) bool {
		return (s.Name == RunInitScripts || s.Name == LoadSeedData) && !slices.Contains(further, s.Name)
	})
}

// The steps that make the built-in definition.
const (
	initializeSchemaName = "initialize_schema"
	createIndexesName    = "create_indexes"
)

// OwnSteps is [Steps] of a service without the built-in definition: its scripts make all that a tenant has. Nothing of
// that definition can then be missing or narrower, or be unusable for DocEX.
func OwnSteps(further ...string) []Step {
	steps := slices.DeleteFunc(Steps(further...), func(s Step) bool {
		return s.Name == initializeSchemaName || s.Name == createIndexesName
	})
	for i, s := range steps {
		steps[i].Warnings = slices.DeleteFunc(s.Warnings, func(code string) bool {
			return code == events.WarnNotDocEXCompatible || code == events.WarnIndexFailed
		})
	}
	return steps
}

// hasBuiltIn reports whether tenants have the built-in definition.
func (c *Config) hasBuiltIn() bool {
	return slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Name == initializeSchemaName })
}

// AllSteps are all steps that a service can run. Tests compare schemas and docs/asyncapi.yaml with it.
func AllSteps() []Step {
	return []Step{
		{
			Name: validateRequestName, Title: "request", Warnings: []string{events.WarnNotDocEXCompatible},
			Run: validateRequest,
		},
		{Name: "create_isolation_boundary", Title: "boundary", Run: createBoundary},
		{Name: initializeSchemaName, Title: "tables", Run: initializeSchema},
		{Name: createIndexesName, Title: "indexes", Warnings: []string{events.WarnIndexFailed}, Run: createIndexes},
		{
			Name: "validate_schema", Title: "validate",
			Warnings: []string{events.WarnIndexFailed, events.WarnSchemaDiffers}, Run: validateSchema,
		},
		{Name: RunInitScripts, Title: "scripts", Run: runInitScripts},
		{Name: LoadSeedData, Title: "seeds", Run: loadSeedData},
		{Name: "register_tenant", Title: "register", Run: registerTenant},
	}
}
