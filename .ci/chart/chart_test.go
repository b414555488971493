package main

import (
	"bytes"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func TestDerivedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	files, err := derived(root)
	must(t, err)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not current; run make docs (%v)", name, err)
		}
	}
}

// The values of each file in testdata pass helm lint, and give these objects.
func TestChart(t *testing.T) {
	t.Parallel()
	const always = "ConfigMap Deployment NetworkPolicy "
	for name, kinds := range map[string]string{
		"default.yaml":    always + "PodDisruptionBudget Service ServiceAccount",
		"kustomize.yaml":  always + "PodDisruptionBudget PodMonitor Service",
		"tls.yaml":        always + "PodDisruptionBudget Service ServiceAccount",
		"monitoring.yaml": "ConfigMap Dashboard Deployment NetworkPolicy PodDisruptionBudget PodMonitor PrometheusRule ScaledObject Service ServiceAccount",
		"scripts.yaml":    always + "Service ServiceAccount",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := valuesOf(t, name)
			for _, message := range lint.RunAll(filepath.Join(root, chartDir), values, "tenants").Messages {
				if message.Severity > support.InfoSev {
					t.Errorf("helm lint: %v", message)
				}
			}
			for _, release := range []string{"tenant-provisioner", "blue"} {
				m := rendered(t, release, values)
				if diff := cmp.Diff(strings.Fields(kinds), m.kinds()); diff != "" {
					t.Errorf("objects (-want +got):\n%s", diff)
				}
				fits(t, release, m)
			}
		})
	}
}

// fits checks that the objects of a release fit each other.
func fits(t *testing.T, release string, m manifests) {
	t.Helper()
	name := map[string]string{"tenant-provisioner": "tenant-provisioner", "blue": "blue-tenant-provisioner"}[release]
	pod := m.deployment.Spec.Template
	container := pod.Spec.Containers[0]
	want := map[string]string{"app.kubernetes.io/name": "tenant-provisioner", "app.kubernetes.io/instance": release}
	selectors := map[string]map[string]string{
		"Deployment": m.deployment.Spec.Selector.MatchLabels, "Service": m.service.Spec.Selector,
		"NetworkPolicy": m.network.Spec.PodSelector.MatchLabels,
		"spread":        pod.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	}
	names := []string{m.config.Name, m.deployment.Name, m.service.Name, m.network.Name, container.EnvFrom[0].ConfigMapRef.Name}
	if m.budget != nil {
		selectors["PodDisruptionBudget"] = m.budget.Spec.Selector.MatchLabels
		names = append(names, m.budget.Name)
	}
	if m.monitor != nil {
		selectors["PodMonitor"] = m.monitor.Spec.Selector.MatchLabels
		if pod.Labels[m.monitor.Spec.JobLabel] != "tenant-provisioner" {
			t.Errorf("the job of the metrics is the label %s, of %v", m.monitor.Spec.JobLabel, pod.Labels)
		}
	}
	if m.account != nil {
		names = append(names, m.account.Name, pod.Spec.ServiceAccountName)
		if *m.account.AutomountServiceAccountToken {
			t.Error("the account's token is mounted")
		}
	}
	if m.scaled != nil {
		names = append(names, m.scaled.Spec.ScaleTargetRef.Name)
		if m.deployment.Spec.Replicas != nil {
			t.Error("each helm upgrade resets the number of replicas that KEDA has set")
		}
	}
	for kind, selector := range selectors {
		if !maps.Equal(selector, want) {
			t.Errorf("%s selects %v", kind, selector)
		}
		for label, value := range selector {
			if pod.Labels[label] != value {
				t.Errorf("%s selects %s=%s, pods have %v", kind, label, value, pod.Labels)
			}
		}
	}
	for _, got := range names {
		if got != name {
			t.Errorf("a name is %s, want %s", got, name)
		}
	}
	mounted := map[string]bool{}
	for i, mount := range container.VolumeMounts {
		volume := pod.Spec.Volumes[i]
		mounted[mount.MountPath] = true
		if mount.Name != volume.Name || strings.Contains(mount.Name, "/") || !mount.ReadOnly ||
			(volume.Secret == nil) == (volume.ConfigMap == nil) {
			t.Errorf("mount %+v of volume %+v", mount, volume)
		}
	}
	for variable, value := range m.config.Data {
		if !strings.HasPrefix(value, "/etc/") {
			continue
		}
		if !mounted[value] && !mounted[path.Dir(value)] && !mounted[value+"/postgres"] {
			t.Errorf("%s is %s, where %v are mounted", variable, value, mounted)
		}
	}
}

// The chart and deploy/kubernetes describe the same. What the chart has beside it: labels of releases, and the annotation
// that replaces pods when the configuration changes.
func TestChartEqualsKustomize(t *testing.T) {
	t.Parallel()
	chart, kustomize := rendered(t, "tenant-provisioner", valuesOf(t, "kustomize.yaml")), kustomize(t)
	pod := &chart.deployment.Spec.Template
	pod.Annotations = nil
	if pod.Spec.ServiceAccountName != "default" || pod.Spec.Containers[0].Image != "registry.internal/tenant-provisioner:latest" {
		t.Errorf("service account %s, image %s", pod.Spec.ServiceAccountName, pod.Spec.Containers[0].Image)
	}
	pod.Spec.ServiceAccountName = ""
	pod.Spec.Containers[0].Image = kustomize.deployment.Spec.Template.Spec.Containers[0].Image
	kustomize.monitor.Namespace = "" // not in the kustomization
	for _, labels := range []map[string]string{
		chart.config.Labels, chart.deployment.Labels, chart.budget.Labels, chart.service.Labels, chart.network.Labels,
		chart.monitor.Labels, pod.Labels, chart.deployment.Spec.Selector.MatchLabels, chart.service.Spec.Selector,
		chart.budget.Spec.Selector.MatchLabels, chart.network.Spec.PodSelector.MatchLabels,
		chart.monitor.Spec.Selector.MatchLabels, pod.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	} {
		for _, of := range []string{"helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"} {
			delete(labels, of)
		}
	}
	for kind, both := range map[string][2]any{
		"ConfigMap":           {kustomize.config, chart.config},
		"Deployment":          {kustomize.deployment, chart.deployment},
		"PodDisruptionBudget": {kustomize.budget, chart.budget},
		"Service":             {kustomize.service, chart.service},
		"NetworkPolicy":       {kustomize.network, chart.network},
		"PodMonitor":          {kustomize.monitor, chart.monitor},
	} {
		if diff := cmp.Diff(both[0], both[1]); diff != "" {
			t.Errorf("%s (-deploy/kubernetes +chart):\n%s", kind, diff)
		}
	}
}

func TestMonitoring(t *testing.T) {
	t.Parallel()
	m := rendered(t, "blue", valuesOf(t, "monitoring.yaml"))
	alerts, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "alerts.yml"))
	must(t, err)
	var want monitoring.PrometheusRuleSpec
	must(t, yaml.UnmarshalStrict(alerts, &want))
	if diff := cmp.Diff(want, m.rule.Spec); diff != "" || len(want.Groups[0].Rules) == 0 {
		t.Errorf("alert rules (-deploy/prometheus +chart):\n%s", diff)
	}
	board, err := os.ReadFile(filepath.Join(root, "deploy", "grafana", "dashboard.json"))
	must(t, err)
	if diff := cmp.Diff(map[string]string{"tenant-provisioner.json": string(board)}, m.dashboard.Data); diff != "" {
		t.Errorf("dashboard (-deploy/grafana +chart):\n%s", diff)
	}
	for kind, labels := range map[string]map[string]string{
		"dashboard grafana_dashboard=1": m.dashboard.Labels, "rule release=prometheus": m.rule.Labels,
		"monitor release=prometheus": m.monitor.Labels,
	} {
		name, value, _ := strings.Cut(strings.Fields(kind)[1], "=")
		if labels[name] != value {
			t.Errorf("%s: %v", kind, labels)
		}
	}
	if m.config.Data["CONCURRENCY"] != "8" {
		t.Errorf("an integer becomes %q", m.config.Data["CONCURRENCY"])
	}
	spec := m.scaled.Spec
	if diff := cmp.Diff(map[string]string{
		"natsServerMonitoringEndpoint": "nats.example.com:8222", "useHttps": "false", "account": "TENANTS",
		"stream": "TENANT_REQUESTS", "consumer": "tenant-provisioner", "lagThreshold": "50",
	}, spec.Triggers[0].Metadata); diff != "" || spec.Triggers[0].Type != "nats-jetstream" || spec.MinReplicaCount != 2 ||
		spec.MaxReplicaCount != 4 {
		t.Errorf("%+v\n%s", spec, diff)
	}
}

func TestDeploymentFollowsValues(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		memory, image string
		grace         int64
		sources       int
	}{
		"default.yaml": {"256Mi", "registry.internal/tenant-provisioner:latest", 40, 2},
		"scripts.yaml": {"512Mi", "registry.internal/tenant-provisioner:latest", 40, 2},
		"tls.yaml": {
			"256Mi", "registry.example.com/tenant-provisioner@sha256:" + strings.Repeat("0123456789abcdef", 4), 105, 1,
		},
	} {
		pod := rendered(t, "blue", valuesOf(t, name)).deployment.Spec.Template.Spec
		container := pod.Containers[0]
		if got := container.Resources.Limits[core.ResourceMemory]; got.String() != want.memory {
			t.Errorf("%s: the limit of memory is %s", name, got.String())
		}
		if container.Image != want.image || *pod.TerminationGracePeriodSeconds != want.grace ||
			len(container.EnvFrom) != want.sources {
			t.Errorf("%s: image %s, grace period %d, environment from %v", name, container.Image,
				*pod.TerminationGracePeriodSeconds, container.EnvFrom)
		}
	}
	own := map[string]any{"resources": map[string]any{"limits": map[string]any{"memory": "1Gi"}},
		"config": map[string]any{"HTTP_ADDR": "[::]:9090"}}
	m := rendered(t, "blue", own)
	container := m.deployment.Spec.Template.Spec.Containers[0]
	if memory := container.Resources.Limits.Memory().String(); memory != "1Gi" ||
		container.Ports[0].ContainerPort != 9090 || m.service.Spec.Ports[0].Port != 9090 {
		t.Errorf("limit %s, ports %v", memory, container.Ports)
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	t.Parallel()
	for values, fault := range map[string]string{
		"{replicas: 3}":                                         "replicas",
		"{config: {CONCURENCY: 8}}":                             "at '/config': additional properties 'CONCURENCY' not allowed",
		"{config: {PGPASSWORD: secret}}":                        "PGPASSWORD",
		"{config: {HTTP_ADDR: '127.0.0.1:8080'}}":               "HTTP_ADDR",
		"{config: {HTTP_ADDR: ''}}":                             "HTTP_ADDR",
		"{config: {DRAIN_TIMEOUT: 1.5m}}":                       "DRAIN_TIMEOUT",
		"{config: {CONCURRENCY: [8]}}":                          "CONCURRENCY",
		"{config: {NATS_URL: 'nats://a:secret@host'}}":          "NATS_URL",
		"{config: {DATABASE_URL: 'sqlite:/data'}}":              "DATABASE_URL",
		"{config: {DATABASE_URL: 'postgres://a:b@c/d'}}":        "DATABASE_URL",
		"{config: {DATABASE_URL: 'postgres://c/d?password=b'}}": "DATABASE_URL",
		"{existingSecret: ''}":                                  "NATS_URL is missing",
		"{existingSecret: '', config: {NATS_URL: a}}":           "DATABASE_URL is missing",
		"{mounts: {nats: {secret: a, configMap: b}}}":           "mounts/nats",
		"{mounts: {../../etc: {secret: a}}}":                    "etc",
		"{keda: {enabled: true}}":                               "monitoringEndpoint",
		"{keda: {minReplicas: 0}}":                              "minReplicas",
		"{image: {digest: latest}}":                             "digest",
	} {
		given := map[string]any{}
		must(t, yaml.Unmarshal([]byte(values), &given))
		if _, err := render("blue", given); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// The values in docs/deploying.md are those of this chart.
func TestDocumentedValues(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "deploying.md"))
	must(t, err)
	_, section, _ := strings.Cut(string(page), "\n### Helm\n")
	section, _, _ = strings.Cut(section, "\n### ")
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) < 3 {
		t.Errorf("docs/deploying.md has %d blocks of values", len(blocks))
	}
	for _, block := range blocks {
		values := map[string]any{}
		must(t, yaml.Unmarshal([]byte(block[1]), &values))
		fits(t, "blue", rendered(t, "blue", values))
	}
}
