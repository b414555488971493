package pipeline

import "context"

func registerTenant(ctx context.Context, a *Attempt) error {
	tenant := Tenant{
		ID: a.data.TenantID, DisplayName: a.data.DisplayName, IsolationStrategy: a.p.Database.Strategy(),
		Boundary: a.boundary, CreatedAt: a.createdAt, CreatedBy: a.data.CreatedBy,
		Plan: a.plan, Definition: a.p.Database.Definition(), Scripts: a.scripts,
	}
	outcome, err := a.provisioned(tenant)
	if err != nil {
		return err
	}
	if err := a.build.Register(ctx, tenant, outcome); err != nil {
		return err
	}
	a.outcome = outcome
	return nil
}
