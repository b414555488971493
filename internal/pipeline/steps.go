package pipeline

import (
	"context"

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

// Steps is the ordered list of steps. Step 0 touches nothing; the last one commits. Everything else that depends on
// steps (numbers, "n/m", metrics, the page, events) derives from this list; tests compare schemas and
// docs/asyncapi.yaml with it. On failure everything before register_tenant is rolled back.
func Steps() []Step {
	return []Step{
		{
			Name: validateRequestName, Title: "request", Warnings: []string{events.WarnNotDocEXCompatible},
			Run: validateRequest,
		},
		{Name: "create_isolation_boundary", Title: "boundary", Run: createBoundary},
		{Name: "initialize_schema", Title: "tables", Run: initializeSchema},
		{Name: "create_indexes", Title: "indexes", Warnings: []string{events.WarnIndexFailed}, Run: createIndexes},
		{
			Name: "validate_schema", Title: "validate",
			Warnings: []string{events.WarnIndexFailed, events.WarnSchemaDiffers}, Run: validateSchema,
		},
		{Name: "register_tenant", Title: "register", Run: registerTenant},
	}
}
