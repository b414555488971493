package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const root = "../.."

// manifests are the objects of the chart or of deploy/kubernetes; nil if it has no such object.
type manifests struct {
	config     *core.ConfigMap
	dashboard  *core.ConfigMap
	account    *core.ServiceAccount
	deployment *apps.Deployment
	budget     *policy.PodDisruptionBudget
	service    *core.Service
	network    *networking.NetworkPolicy
	monitor    *monitoring.PodMonitor
	rule       *monitoring.PrometheusRule
	scaled     *scaledObject
}

// scaledObject has the fields of KEDA's ScaledObject that the chart uses; KEDA's own module is large.
type scaledObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]any    `json:"metadata"`
	Spec       scaledObjectSpecs `json:"spec"`
}

type scaledObjectSpecs struct {
	ScaleTargetRef  struct{ Name string } `json:"scaleTargetRef"`
	MinReplicaCount int                   `json:"minReplicaCount"`
	MaxReplicaCount int                   `json:"maxReplicaCount"`
	Advanced        map[string]any        `json:"advanced"`
	Triggers        []struct {
		Type     string            `json:"type"`
		Metadata map[string]string `json:"metadata"`
	} `json:"triggers"`
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// valuesOf reads a file of values.
func valuesOf(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	must(t, err)
	values := map[string]any{}
	must(t, yaml.Unmarshal(text, &values))
	return values
}

// render is helm template with the values: the texts by the names of the templates.
func render(release string, values map[string]any) (map[string]string, error) {
	chart, err := loader.Load(filepath.Join(root, chartDir))
	if err != nil {
		return nil, err
	}
	options := common.ReleaseOptions{Name: release, Namespace: "tenants", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, values, options, nil)
	if err != nil {
		return nil, err
	}
	engine := engine.Engine{Strict: true}
	return engine.Render(chart, all)
}

// rendered is the chart with the values.
func rendered(t *testing.T, release string, values map[string]any) (m manifests) {
	t.Helper()
	texts, err := render(release, values)
	must(t, err)
	for name, text := range texts {
		if filepath.Ext(name) == ".yaml" && strings.TrimSpace(text) != "" {
			m.read(t, name, []byte(text))
		}
	}
	return m
}

// kustomize is deploy/kubernetes.
func kustomize(t *testing.T) (m manifests) {
	t.Helper()
	for _, name := range []string{"config.yaml", "deployment.yaml", "networkpolicy.yaml", "monitoring.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, "deploy", "kubernetes", name))
		must(t, err)
		for part := range bytes.SplitSeq(text, []byte("\n---\n")) {
			m.read(t, name, part)
		}
	}
	return m
}

// read reads one object, and rejects unknown fields: a cluster can drop a misspelt one silently.
func (m *manifests) read(t *testing.T, name string, text []byte) {
	t.Helper()
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
	}
	must(t, yaml.Unmarshal(text, &head))
	kind := head.APIVersion + " " + head.Kind
	if strings.HasSuffix(head.Metadata.Name, "-dashboard") {
		kind += " dashboard"
	}
	switch kind {
	case "v1 ConfigMap":
		strictly(t, name, text, &m.config)
	case "v1 ConfigMap dashboard":
		strictly(t, name, text, &m.dashboard)
	case "v1 ServiceAccount":
		strictly(t, name, text, &m.account)
	case "apps/v1 Deployment":
		strictly(t, name, text, &m.deployment)
	case "policy/v1 PodDisruptionBudget":
		strictly(t, name, text, &m.budget)
	case "v1 Service":
		strictly(t, name, text, &m.service)
	case "networking.k8s.io/v1 NetworkPolicy":
		strictly(t, name, text, &m.network)
	case "monitoring.coreos.com/v1 PodMonitor":
		strictly(t, name, text, &m.monitor)
	case "monitoring.coreos.com/v1 PrometheusRule":
		strictly(t, name, text, &m.rule)
	case "keda.sh/v1alpha1 ScaledObject":
		strictly(t, name, text, &m.scaled)
	default:
		t.Errorf("%s: no test reads %s", name, kind)
	}
}

func strictly[T any](t *testing.T, name string, text []byte, into **T) {
	t.Helper()
	if *into != nil {
		t.Errorf("%s: there are two of its kind", name)
	}
	*into = new(T)
	if err := yaml.UnmarshalStrict(text, *into); err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
	}
}

// kinds are the kinds of the objects that exist.
func (m manifests) kinds() (all []string) {
	for kind, exists := range map[string]bool{
		"ConfigMap": m.config != nil, "Dashboard": m.dashboard != nil, "ServiceAccount": m.account != nil,
		"Deployment": m.deployment != nil, "PodDisruptionBudget": m.budget != nil, "Service": m.service != nil,
		"NetworkPolicy": m.network != nil, "PodMonitor": m.monitor != nil, "PrometheusRule": m.rule != nil,
		"ScaledObject": m.scaled != nil,
	} {
		if exists {
			all = append(all, kind)
		}
	}
	slices.Sort(all)
	return all
}
