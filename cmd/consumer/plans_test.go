package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

const deployedPlans = "../../deploy/plans.yaml"

// The plan of a request is in its outcome, in the lists and on the page, with deploy/plans.yaml. An unknown one fails
// the request. Doctor names plans that the file no longer has.
func TestPlans(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)), with("PLANS", deployedPlans), with("HTTP_ADDR", "127.0.0.1:0"))
		if !d.sqlite() {
			env["PREPARED_BOUNDARIES"] = "2"
		}
		service := serve(t, env)
		http := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
		client := with("NATS_URL", env["NATS_URL"]) // a publisher needs no PLANS
		validate := validator(t)
		request := func(tenant string, more ...string) (code int, stdout string) {
			t.Helper()
			args := slices.Concat([]string{"--wait", outcomeWait, "--id", tenant}, more)
			code, stdout, stderr := command(t, client, requestArgs(tenant, args...)...)
			testkit.Equal(t, "stderr", stderr, "")
			return code, stdout
		}

		code, stdout := request("standard", "--json")
		testkit.Equal(t, "exit code", code, 0)
		validate([]byte(stdout))
		testkit.Contains(t, "the outcome", stdout, `"plan":"free","plan_limits":{"max_bytes":1073741824,"max_rows":100000}`)
		_, again := request("standard", "--json")
		testkit.Equal(t, "the outcome again", again, stdout)
		code, stdout = request("paying", "--plan", "team")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Contains(t, "the outcome", stdout, "\n    plan team: max_bytes 53687091200, max_rows 5000000\n")
		code, stdout = request("large", "--plan", "enterprise", "--json")
		testkit.Equal(t, "exit code", code, 0)
		validate([]byte(stdout))
		testkit.Contains(t, "the outcome", stdout, `"plan":"enterprise","request":`)
		code, stdout = request("refused", "--plan", "gold")
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "the outcome", stdout, "INVALID_REQUEST",
			`plan: "gold" is not one of the plans: enterprise, free, team; send one of them, or omit it for free`)

		_, stdout, _ = command(t, env, "tenants", "list")
		for tenant, plan := range map[string]string{"standard": "free", "paying": "team", "large": "enterprise", system: "-"} {
			found := slices.IndexFunc(strings.Split(stdout, "\n"), func(line string) bool {
				fields := strings.Fields(line)
				return strings.HasPrefix(line, tenant+" ") && slices.Contains(fields, plan)
			})
			if found < 0 {
				t.Errorf("no line with %s and %s in\n%s", tenant, plan, stdout)
			}
		}
		_, stdout, _ = command(t, env, "tenants", "list", "--json", "--plan", "team")
		listed := objects[tenantView](t, stdout)
		testkit.Equal(t, "tenants with that plan", len(listed), 1)
		testkit.Equal(t, "tenant", listed[0].TenantID, "paying")
		testkit.Equal(t, "limits", listed[0].PlanLimits, events.PlanLimits{MaxBytes: 50 << 30, MaxRows: 5_000_000})
		_, stdout, _ = command(t, env, "tenants", "list", "--json", "--plan", "Team")
		testkit.Equal(t, "tenants with a plan that does not exist", stdout, "")
		_, stdout, _ = command(t, env, "tenants", "show", "standard")
		testkit.Contains(t, "the tenant", stdout, "\nplan            free: max_bytes 1073741824, max_rows 100000\n")
		_, stdout, _ = command(t, env, "tenants", "show", system)
		testkit.Contains(t, "the system's tenant", stdout, "\nplan            -\n")
		_, stdout, _ = command(t, env, "tenants", "show", "large", "--json")
		testkit.Contains(t, "the tenant", stdout, `"plan":"enterprise",`)
		testkit.Lacks(t, "the tenant", stdout, "plan_limits")
		page := getComplete(t, http+"/tenant?id=standard")
		testkit.Contains(t, "the page", page,
			"<dt>Plan</dt><dd><bdi>free</bdi>, at most 1,073,741,824 bytes, at most 100,000 rows</dd>")
		_, stdout, _ = command(t, env, "config")
		testkit.Contains(t, "the configuration", stdout, "\nPLANS="+deployedPlans+"\n")

		check := func(plans string) doctor.Finding {
			t.Helper()
			return runDoctor(t, env, with("PLANS", plans))["registry_plans"]
		}
		testkit.Equal(t, "status", check(deployedPlans).Status, doctor.OK)
		testkit.Equal(t, "exit code", service.stop(t), 0)

		// Without PLANS the service goes on, and ignores the field. Doctor warns.
		delete(env, "PLANS")
		service = serve(t, env)
		code, stdout = request("later", "--plan", "gold", "--json")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Lacks(t, "the outcome", stdout, `"plan`)
		found := check("")
		testkit.Equal(t, "status", found.Status, doctor.Warning)
		testkit.Contains(t, "message", found.Message, "PLANS is not set, and tenants have plans: 3")
		testkit.Equal(t, "exit code", service.stop(t), 0)
		found = check(plansFile(t, "default: free\nplans: {free: {}}\n"))
		testkit.Equal(t, "status", found.Status, doctor.Warning)
		testkit.Contains(t, "message", found.Message, "tenants have plans that PLANS does not have: 2")
		testkit.Contains(t, "hint", found.Hint, "\n-- enterprise: tenants 1\n-- team: tenants 1")
		testkit.Lacks(t, "hint", found.Hint, "free")
	})
}

// A registry without plans has nothing to warn of.
func TestDoctorWithoutPlans(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		withRegistry(t, d)
		found := runDoctor(t, d.env)["registry_plans"]
		testkit.Equal(t, "status", found.Status, doctor.OK)
		testkit.Equal(t, "message", found.Message, "PLANS is not set, and no tenant has a plan")
	})
}

// Doctor finds a plan that the file no longer has behind as many plans as a file may have.
func TestDoctorFindsAPlanBehindManyOthers(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		withRegistry(t, d)
		const most = 100 // plans of a file
		tenants := map[string]string{"last": ""}
		var named strings.Builder
		for i := range most {
			plan := fmt.Sprintf("p%03d", i)
			tenants[plan] = ""
			fmt.Fprintf(&named, "  %s: {}\n", plan)
		}
		d.registerTenants(t, tenants)
		d.registry(t, "UPDATE {b}tenant_registry SET plan = CASE tenant_id WHEN 'last' THEN 'removed' ELSE tenant_id END "+
			"WHERE NOT is_system")
		plans := plansFile(t, "default: p000\nplans:\n"+named.String())
		found := runDoctor(t, d.env, with("PLANS", plans))["registry_plans"]
		testkit.Equal(t, "status", found.Status, doctor.Warning)
		testkit.Contains(t, "hint", found.Hint, "-- removed: tenants 1")
	})
}

// reconcile restores plan and limits of a registry row from the outcome.
func TestPlansAreRestored(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.env["PLANS"] = deployedPlans
		m.serve(requestFor(t, "order-1", "acme"))
		restore := m.backup()
		m.serve(requestFor(t, "order-2", "beta"))
		before := m.database()
		plans := func() string {
			return strings.Join(d.rows(system, "SELECT tenant_id || ' ' || plan || ' ' || CAST(plan_max_bytes AS varchar(20)) || ' ' || "+
				"CAST(plan_max_rows AS varchar(20)) FROM {b}tenant_registry WHERE NOT is_system ORDER BY tenant_id"), ", ")
		}
		const want = "acme free 1073741824 100000, beta free 1073741824 100000"
		testkit.Equal(t, "plans", plans(), want)
		restore()
		m.reconcile(0, apply, "beta: it was announced", "left 0")
		testkit.Equal(t, "database", m.database(), before)
		testkit.Equal(t, "plans", plans(), want)
	})
}
