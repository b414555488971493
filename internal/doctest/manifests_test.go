package doctest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"

	"example.com/tenant-provisioner/internal/testkit"
)

// manifests are the files of deploy/kubernetes, read into the types of Kubernetes and others.
type manifests struct {
	config     core.ConfigMap
	secret     core.Secret
	deployment apps.Deployment
	budget     policy.PodDisruptionBudget
	service    core.Service
	network    networking.NetworkPolicy
	scaler     autoscaling.HorizontalPodAutoscaler
	monitor    podMonitor
	adapter    adapterRules
	kustomize  kustomization
	namespace  core.Namespace
}

// The fields used of formats that are not part of Kubernetes.
type (
	podMonitor struct {
		APIVersion, Kind string
		Metadata         map[string]any
		Spec             struct {
			JobLabel string
			Selector struct {
				MatchLabels map[string]string
			}
			PodMetricsEndpoints []struct{ Port, Path, Interval string }
		}
	}
	adapterRules struct {
		Rules struct {
			External []struct {
				SeriesQuery, MetricsQuery string
				Resources                 struct {
					Overrides map[string]struct{ Resource string }
				}
				Name struct{ As string }
			}
		}
	}
	kustomization struct {
		APIVersion, Kind, Namespace string
		Resources                   []string
		Images                      []struct{ Name, NewName, NewTag string }
	}
)

// readManifests rejects unknown fields: a cluster can drop a misspelt one silently.
func readManifests(t *testing.T) (m manifests) {
	t.Helper()
	kinds := map[string]any{
		"ConfigMap": &m.config, "Secret": &m.secret, "Deployment": &m.deployment, "PodDisruptionBudget": &m.budget,
		"Service": &m.service, "NetworkPolicy": &m.network, "HorizontalPodAutoscaler": &m.scaler,
		"PodMonitor": &m.monitor, "Kustomization": &m.kustomize, "Namespace": &m.namespace,
		"prometheus-adapter.yaml": &m.adapter,
	}
	files, err := filepath.Glob(filepath.Join(root, "deploy", "kubernetes", "*"))
	testkit.Must(t, err)
	for _, file := range files {
		source, err := os.ReadFile(file)
		testkit.Must(t, err)
		for i, part := range bytes.Split(source, []byte("\n---\n")) {
			var head struct{ Kind string }
			testkit.Must(t, yaml.Unmarshal(part, &head))
			kind := head.Kind
			if kind == "" {
				kind = filepath.Base(file)
			}
			into := kinds[kind]
			if into == nil {
				t.Fatalf("%s, part %d: %s exists twice, or no test reads it", file, i, kind)
			}
			delete(kinds, kind)
			if err := yaml.UnmarshalStrict(part, into); err != nil {
				t.Fatalf("%s, part %d: %v", file, i, err)
			}
		}
	}
	for kind := range kinds {
		t.Errorf("there is no %s in deploy/kubernetes", kind)
	}
	return m
}

func TestManifests(t *testing.T) {
	t.Parallel()
	m := readManifests(t)
	const where = "deploy/kubernetes"
	pod := m.deployment.Spec.Template
	container := pod.Spec.Containers[0]
	labels := pod.Labels

	// The program has the variables that it gets.
	knowsVariables(t, where, m.config.Data)
	knowsVariables(t, where, m.secret.StringData)
	if container.EnvFrom[0].ConfigMapRef.Name != m.config.Name || container.EnvFrom[1].SecretRef.Name != m.secret.Name {
		t.Errorf("environment from %v", container.EnvFrom)
	}
	for name := range m.config.Data {
		if strings.HasSuffix(name, "_URL") {
			t.Errorf("%s holds a password and is in the ConfigMap", name)
		}
	}

	// Probes, scrapes and the service use the port on which it listens.
	port := listensOnAllInterfaces(t, where, m.config.Data["HTTP_ADDR"])
	if p := container.Ports[0]; p.Name != "http" || fmt.Sprint(p.ContainerPort) != port {
		t.Errorf("the container's port is %v", p)
	}
	for probe, want := range map[*core.Probe]string{
		container.StartupProbe: "/livez", container.LivenessProbe: "/livez", container.ReadinessProbe: "/readyz",
	} {
		if get := probe.HTTPGet; get.Path != want || get.Port.String() != "http" {
			t.Errorf("a probe requests %s at %s, not %s", get.Path, get.Port.String(), want)
		}
	}
	if e := m.monitor.Spec.PodMetricsEndpoints[0]; e.Port != "http" || e.Path != "/metrics" {
		t.Errorf("scraped at %+v", e)
	}
	if job := labels[m.monitor.Spec.JobLabel]; job != "tenant-provisioner" {
		t.Errorf("the job of its metrics is %q, which no alert rule uses", job)
	}
	if p := m.service.Spec.Ports[0]; p.TargetPort.String() != "http" || fmt.Sprint(p.Port) != port {
		t.Errorf("the service's port is %v", p)
	}
	if p := m.network.Spec.Ingress[0].Ports[0].Port.String(); p != "http" {
		t.Errorf("the network policy admits port %s", p)
	}

	// Every selector selects its pods.
	for what, selector := range map[string]map[string]string{
		"Deployment": m.deployment.Spec.Selector.MatchLabels, "Service": m.service.Spec.Selector,
		"PodDisruptionBudget": m.budget.Spec.Selector.MatchLabels, "NetworkPolicy": m.network.Spec.PodSelector.MatchLabels,
		"PodMonitor": m.monitor.Spec.Selector.MatchLabels,
		"spread":     pod.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	} {
		if !maps.Equal(selector, labels) {
			t.Errorf("%s selects %v, pods have %v", what, selector, labels)
		}
	}
	if m.scaler.Spec.ScaleTargetRef.Name != m.deployment.Name {
		t.Errorf("scales %s", m.scaler.Spec.ScaleTargetRef.Name)
	}

	// It has only the privileges that it needs, and enough time to drain.
	outlastsDraining(t, where, time.Duration(*pod.Spec.TerminationGracePeriodSeconds)*time.Second)
	s := container.SecurityContext
	if !*pod.Spec.SecurityContext.RunAsNonRoot || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation ||
		!slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Errorf("security: %+v, %+v", pod.Spec.SecurityContext, s)
	}
	if container.Resources.Requests.Cpu().IsZero() || container.Resources.Limits.Memory().IsZero() {
		t.Errorf("resources: %+v", container.Resources)
	}
	if m.budget.Spec.MinAvailable.IntValue() >= int(*m.deployment.Spec.Replicas) {
		t.Error("no node can be drained")
	}

	for _, file := range m.kustomize.Resources {
		source, err := os.ReadFile(filepath.Join(root, where, file))
		testkit.Must(t, err)
		if bytes.Contains(source, []byte("kind: Secret")) {
			t.Errorf("%s is applied with the others, and replaces the existing Secret with an example", file)
		}
	}
	if s := m.secret; s.Namespace != m.namespace.Name {
		t.Errorf("the Secret is in namespace %s", s.Namespace)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "deploying.md"))
	testkit.Must(t, err)
	image := m.kustomize.Images[0].NewName + ":" + m.kustomize.Images[0].NewTag
	for _, command := range []string{
		"make image IMAGE=" + image, "docker push " + image,
		"kubectl -n " + m.namespace.Name + " create secret generic " + container.EnvFrom[1].SecretRef.Name + " ",
	} {
		if !strings.Contains(string(page), command) {
			t.Errorf("docs/deploying.md does not contain %s", command)
		}
	}
	if m.kustomize.Images[0].Name != container.Image || m.kustomize.Namespace != m.namespace.Name {
		t.Errorf("kustomization: %+v", m.kustomize)
	}
}

// Scaling follows a metric that the program has, under the name that the adapter gives it.
func TestScalingFollowsAMetric(t *testing.T) {
	t.Parallel()
	m := readManifests(t)
	addr := freeAddr(t)
	startService(t, []string{
		"HOME=" + t.TempDir(), "NATS_URL=" + startNATS(t), "DATABASE_URL=sqlite:" + t.TempDir(), "HTTP_ADDR=" + addr.http,
		"LOG_FORMAT=json",
	})
	rule := m.adapter.Rules.External[0]
	series, _, _ := strings.Cut(rule.SeriesQuery, "{")
	if !strings.Contains(get(t, "http://"+addr.http+"/metrics"), "\n"+series+" ") {
		t.Errorf("the program has no metric %s", series)
	}
	if wanted := m.scaler.Spec.Metrics[0].External.Metric.Name; wanted != rule.Name.As {
		t.Errorf("scales by %s, the adapter has %s", wanted, rule.Name.As)
	}
}
