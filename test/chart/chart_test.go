package chart

import (
	"bufio"
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var update = flag.Bool("update", false, "write testdata")

func newReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

func compare(want, got string) string {
	return cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n"))
}

// minimal is what a user must give, and everything what they can.
const (
	minimal    = `clusterName: research`
	everything = `
clusterName: research
clusterEndpoint: https://ABCDEF.gr7.us-east-1.eks.amazonaws.com
clusterCA: Y2VydGlmaWNhdGU=
serviceCIDR: 10.100.0.0/16
region: us-east-1
interruptionQueue: research
isolatedVPC: true
nominate: false
foresight: false
defaultSpreadConstraints:
- {maxSkew: 3, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}
recordViews: {enabled: true, files: 10, bytes: 4194304}
extraArgs: ["--batch-max=1s"]
logLevel: debug
logFormat: console
karpenterCompat: {enabled: false}
image: {repository: 111122223333.dkr.ecr.us-east-1.amazonaws.com/slipway, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
replicas: 3
priorityClassName: platform
terminationGracePeriodSeconds: 60
resources: {requests: {cpu: "1", memory: 1Gi}, limits: {memory: 2Gi}}
podDisruptionBudget: {maxUnavailable: 34%}
nodeSelector: {team: platform}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
      - matchExpressions: [{key: role, operator: In, values: [system]}]
      - matchExpressions: [{key: role, operator: In, values: [spare]}]
    preferredDuringSchedulingIgnoredDuringExecution:
    - {weight: 1, preference: {matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [arm64]}]}}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - {weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: noisy}}}}
tolerations: [{key: platform, operator: Exists}]
topologySpreadConstraints: [{maxSkew: 2, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}]
serviceAccount: {name: buyer, annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::111122223333:role/SlipwayController-research"}}
aggregateRoles: false
podLabels: {team: platform}
podAnnotations: {example.com/owner: platform}
extraEnv: [{name: HTTPS_PROXY, value: "http://proxy:3128"}]
extraVolumes: [{name: authority, configMap: {name: authority}}]
extraVolumeMounts: [{name: authority, mountPath: /etc/ssl/certs, readOnly: true}]
metrics: {port: 9090}
health: {port: 9091}
networkPolicy:
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  extraEgress: [{ports: [{port: 3128, protocol: TCP}]}]
serviceMonitor: {enabled: true, interval: 1m, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
binPackingScheduler: {enabled: true, image: {repository: 111122223333.dkr.ecr.us-east-1.amazonaws.com/kube-scheduler, tag: v1.34.3}, replicas: 1}
`
)

// besideKarpenter is a cluster in which Karpenter of today runs.
var besideKarpenter = cluster{serves: []string{"karpenter.sh/v1", "karpenter.sh/v1/NodePool"}}

func TestLint(t *testing.T) {
	for name, given := range map[string]string{"slipway": minimal, "slipway-crds": ""} {
		t.Run(name, func(t *testing.T) {
			result := lint.RunAll(filepath.Join(charts, name), values(t, given), "slipway-system")
			for _, m := range result.Messages {
				if m.Severity >= support.WarningSev {
					t.Errorf("%s", m.Error())
				}
			}
		})
	}
}

func TestGolden(t *testing.T) {
	for name, tc := range map[string]struct {
		values  string
		cluster cluster
	}{
		"minimal":          {values: minimal},
		"everything":       {values: everything},
		"beside-karpenter": {values: minimal, cluster: besideKarpenter},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := render("slipway", values(t, tc.values), tc.cluster)
			if err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			for _, file := range sorted(files) {
				switch text := strings.TrimSpace(files[file]); {
				case text == "" || strings.HasSuffix(file, ".tpl"):
				case strings.HasSuffix(file, "karpenter-crd.yaml"):
					all.WriteString("--- # " + file + ": the CRD, as it is in pkg/apis/crds\n")
				default:
					all.WriteString("--- # " + file + "\n" + strings.TrimPrefix(text, "---\n") + "\n")
				}
			}
			matchGolden(t, name+".golden.yaml", all.String())
			rendered(t, values(t, tc.values), tc.cluster)
		})
	}
}

// TestRefused: a value that cannot be is refused before anything is installed, by its name.
func TestRefused(t *testing.T) {
	for given, want := range map[string]string{
		"{}":                                                       "clusterName is required",
		"clusterName: a b":                                         "clusterName",
		"{clusterName: a, clusterNam: b}":                          "clusterNam",
		"{clusterName: a, replicas: 0}":                            "replicas",
		"{clusterName: a, logLevel: loud}":                         "logLevel",
		"{clusterName: a, region: us_east_1}":                      "region",
		"{clusterName: a, extraArgs: [leader]}":                    "extraArgs",
		"{clusterName: a, image: {digest: sha256:00}}":             "digest",
		"{clusterName: a, clusterEndpoint: 'http://a'}":            "clusterEndpoint",
		"{clusterName: a, karpenterCompat: {enabled: maybe}}":      "karpenterCompat",
		"{clusterName: a, metrics: {port: 80}}":                    "metrics",
		"{clusterName: a, metrics: {port: 8081}}":                  "metrics.port and health.port are both 8081",
		"{clusterName: a, image: {tag: a b}}":                      "/image/tag",
		"{clusterName: a, serviceAccount: {create: false}}":        "serviceAccount.name",
		"{clusterName: a, defaultSpreadConstraints: [{skew: 1}]}":  "defaultSpreadConstraints",
		"{clusterName: a, recordViews: {enabled: true, bytes: 1}}": "recordViews",
	} {
		t.Run(given, func(t *testing.T) {
			_, err := render("slipway", values(t, given), cluster{})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want a word about %s", err, want)
			}
		})
	}
}

// TestCompat: karpenter.sh is ours to define only where Karpenter of today does not, and only then are its rights asked for.
func TestCompat(t *testing.T) {
	for name, tc := range map[string]struct {
		values  string
		cluster cluster
		want    bool
	}{
		"auto":                           {minimal, cluster{}, true},
		"auto beside Karpenter":          {minimal, besideKarpenter, false},
		"off":                            {"{clusterName: a, karpenterCompat: {enabled: false}}", cluster{}, false},
		"on, whatever the cluster says":  {"{clusterName: a, karpenterCompat: {enabled: true}}", besideKarpenter, true},
		"off as text, as --set-string":   {"{clusterName: a, karpenterCompat: {enabled: 'false'}}", cluster{}, false},
		"on as text, as --set-string is": {"{clusterName: a, karpenterCompat: {enabled: 'true'}}", besideKarpenter, true},
	} {
		t.Run(name, func(t *testing.T) {
			objects := rendered(t, values(t, tc.values), tc.cluster)
			crd := slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetName() == "provisioners.karpenter.sh" })
			role := as[rbacv1.ClusterRole](t, of(t, objects, "ClusterRole", "slipway"))
			rights := slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.APIGroups, "karpenter.sh") })
			args := as[appsv1.Deployment](t, of(t, objects, "Deployment", "slipway")).Spec.Template.Spec.Containers[0].Args
			asks := !slices.Contains(args, "--karpenter-compat=false")
			if crd != tc.want || rights != tc.want || asks != tc.want {
				t.Errorf("CRD %v, rights %v, the controller asks %v, want %v", crd, rights, asks, tc.want)
			}
		})
	}
}

// TestForeignCRD: a CRD that another made stays as it is, while what is written by it is carried over; one that this release made is upgraded with it.
func TestForeignCRD(t *testing.T) {
	made := func(release, namespace string) *unstructured.Unstructured {
		crd := &unstructured.Unstructured{}
		crd.SetAPIVersion("apiextensions.k8s.io/v1")
		crd.SetKind("CustomResourceDefinition")
		crd.SetName("provisioners.karpenter.sh")
		if release != "" {
			crd.SetAnnotations(map[string]string{"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace})
		}
		return crd
	}
	for name, tc := range map[string]struct {
		there *unstructured.Unstructured
		want  bool
	}{
		"applied by hand":            {made("", ""), false},
		"of Karpenter's chart":       {made("karpenter", "karpenter"), false},
		"of a release of that name":  {made("slipway", "elsewhere"), false},
		"of another release of ours": {made("slipway-b", "slipway-system"), false},
		"of this release":            {made("slipway", "slipway-system"), true},
	} {
		t.Run(name, func(t *testing.T) {
			objects := rendered(t, values(t, minimal), cluster{crds: []*unstructured.Unstructured{tc.there}})
			crd := slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetName() == "provisioners.karpenter.sh" })
			role := as[rbacv1.ClusterRole](t, of(t, objects, "ClusterRole", "slipway"))
			rights := slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.APIGroups, "karpenter.sh") })
			if crd != tc.want || !rights {
				t.Errorf("the CRD is rendered: %v, want %v; rights: %v", crd, tc.want, rights)
			}
		})
	}
}

// TestNotes: whoever may have a Karpenter that serves v1alpha5 is told to stop it first.
func TestNotes(t *testing.T) {
	for given, want := range map[string]string{
		"{clusterName: a, karpenterCompat: {enabled: true}}":  "stop it before",
		"{clusterName: a, karpenterCompat: {enabled: false}}": "are not carried over",
	} {
		files, err := render("slipway", values(t, given), cluster{})
		if err != nil {
			t.Fatal(err)
		}
		if notes := files["slipway/templates/NOTES.txt"]; !strings.Contains(notes, want) {
			t.Errorf("%s: the notes do not say %q:\n%s", given, want, notes)
		}
	}
}

// TestOffOwnNodes: every alternative of the node affinity keeps the controller off the nodes that it launches.
func TestOffOwnNodes(t *testing.T) {
	for _, given := range []string{minimal, everything} {
		terms := as[appsv1.Deployment](t, of(t, rendered(t, values(t, given), cluster{}), "Deployment", "slipway")).
			Spec.Template.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		for _, term := range terms {
			if !slices.ContainsFunc(term.MatchExpressions, func(r corev1.NodeSelectorRequirement) bool {
				return r.Key == "slipway.sh/provisioner" && r.Operator == corev1.NodeSelectorOpDoesNotExist
			}) {
				t.Errorf("this term lets it onto its own nodes: %+v", term)
			}
		}
		if len(terms) == 0 {
			t.Error("there is no required node affinity")
		}
	}
}

// TestRestricted: the pod meets the restricted Pod Security Standard, and more.
func TestRestricted(t *testing.T) {
	for _, given := range []string{minimal, everything} {
		pod := as[appsv1.Deployment](t, of(t, rendered(t, values(t, given), cluster{}), "Deployment", "slipway")).Spec.Template.Spec
		container := pod.Containers[0].SecurityContext
		switch {
		case pod.HostNetwork || pod.HostPID || pod.HostIPC:
			t.Error("it shares a namespace of the node")
		case !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
			t.Error("it may run as root, or without seccomp")
		case *container.AllowPrivilegeEscalation || !*container.ReadOnlyRootFilesystem:
			t.Error("it may gain privileges or write to its root")
		case !slices.Equal(container.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(container.Capabilities.Add) > 0:
			t.Error("it has capabilities")
		}
	}
}

// TestDashboard: Grafana's sidecar finds the file whole.
func TestDashboard(t *testing.T) {
	objects := rendered(t, values(t, `{clusterName: a, dashboard: {enabled: true, labels: {dashboards: "yes"}}}`), cluster{})
	found := as[corev1.ConfigMap](t, of(t, objects, "ConfigMap", "slipway-dashboard"))
	if found.Labels["dashboards"] != "yes" || strings.TrimSpace(found.Data["slipway.json"]) != strings.TrimSpace(read(t, "slipway/files/dashboard.json")) {
		t.Errorf("labels %v, %d bytes", found.Labels, len(found.Data["slipway.json"]))
	}
}

// TestBinPackingScheduler: the chart's second scheduler is the one of the examples, with the image of the cluster's version, and off by default.
func TestBinPackingScheduler(t *testing.T) {
	example := read(t, "../examples/bin-packing-scheduler/scheduler.yaml")
	if example != read(t, "slipway/files/bin-packing-scheduler.yaml") {
		t.Error("examples/bin-packing-scheduler/scheduler.yaml and the chart's files/bin-packing-scheduler.yaml differ: copy one over the other")
	}
	without, with := rendered(t, values(t, minimal), cluster{}), rendered(t, values(t, minimal+"\nbinPackingScheduler: {enabled: true}"), cluster{})
	want := decode(t, "scheduler.yaml", example)
	if got := len(with) - len(without); got != len(want) {
		t.Errorf("%d objects come with it, want %d", got, len(want))
	}
	for _, object := range want {
		got := with[slices.IndexFunc(with, func(o *unstructured.Unstructured) bool {
			return o.GetKind() == object.GetKind() && o.GetName() == object.GetName()
		})]
		labels := object.GetLabels()
		for key, value := range labels {
			if got.GetLabels()[key] != value {
				t.Errorf("%s %s: label %s is %q", object.GetKind(), object.GetName(), key, got.GetLabels()[key])
			}
		}
		got.SetLabels(labels)
		unstructured.RemoveNestedField(got.Object, "spec", "template", "metadata", "annotations")
		if diff := cmp.Diff(object.Object, got.Object); diff != "" {
			t.Errorf("%s %s (-example +chart):\n%s", object.GetKind(), object.GetName(), diff)
		}
	}
}

// TestRights: with every setting on that asks for some, rendered rules are the generated ones, whole, and none of them reads a Secret.
func TestRights(t *testing.T) {
	objects := rendered(t, values(t, `{clusterName: a, karpenterCompat: {enabled: true}, defaultSpreadConstraints: [
		{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}]}`), cluster{})
	generated := map[string][]rbacv1.PolicyRule{}
	for _, o := range decode(t, "role.yaml", read(t, "slipway/files/role.yaml")) {
		generated[o.GetKind()] = as[rbacv1.ClusterRole](t, o).Rules
	}
	for kind, want := range generated {
		got := as[rbacv1.ClusterRole](t, of(t, objects, kind, "slipway")).Rules
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-generated +rendered):\n%s", kind, diff)
		}
		for _, r := range got {
			if slices.Contains(r.Resources, "secrets") || slices.Contains(r.Resources, "*") || slices.Contains(r.Verbs, "*") {
				t.Errorf("%s allows too much: %+v", kind, r)
			}
		}
	}
	role := of(t, objects, "Role", "slipway")
	if len(generated) != 2 || role.GetNamespace() != "slipway-system" {
		t.Errorf("%d kinds of role, that of the namespace in %s", len(generated), role.GetNamespace())
	}
}

// TestRightsOfSettings: what only a setting asks for is given with it only, and nothing else changes.
func TestRightsOfSettings(t *testing.T) {
	const spread = "defaultSpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}]"
	rights := func(given string) (all []string) {
		objects := rendered(t, values(t, given), cluster{})
		for _, kind := range []string{"ClusterRole", "Role"} {
			for _, r := range as[rbacv1.ClusterRole](t, of(t, objects, kind, "slipway")).Rules {
				for _, resource := range r.Resources {
					for _, verb := range r.Verbs {
						all = append(all, strings.TrimSpace(verb+" "+resource+"."+r.APIGroups[0]+" "+strings.Join(r.ResourceNames, ",")))
					}
				}
			}
		}
		return all
	}
	whole := rights("{clusterName: a, karpenterCompat: {enabled: true}, " + spread + "}")
	for given, without := range map[string][]string{
		"{clusterName: a, karpenterCompat: {enabled: true}}": {"list replicasets.apps", "list replicationcontrollers.", "list services.", "list statefulsets.apps",
			"watch replicasets.apps", "watch replicationcontrollers.", "watch services.", "watch statefulsets.apps"},
		"{clusterName: a, karpenterCompat: {enabled: false}, " + spread + "}": {"create provisioners.slipway.sh", "list provisioners.karpenter.sh",
			"patch provisioners/status.karpenter.sh", "update provisioners.slipway.sh", "update provisioners/finalizers.karpenter.sh", "watch provisioners.karpenter.sh"},
	} {
		got := rights(given)
		less := slices.DeleteFunc(slices.Clone(whole), func(r string) bool { return slices.Contains(got, r) })
		slices.Sort(less)
		if diff := cmp.Diff(without, less); diff != "" || len(got)+len(less) != len(whole) {
			t.Errorf("%s: is not given (-want +got), %d rights of %d are:\n%s", given, len(got), len(whole), diff)
		}
	}
	for _, r := range []string{"create leases.coordination.k8s.io", "get leases.coordination.k8s.io slipway", "update leases.coordination.k8s.io slipway"} {
		if !slices.Contains(whole, r) {
			t.Errorf("%q is not given: the leader holds this lease, and no other", r)
		}
	}
}

// TestKept: no uninstall takes a CRD, and with it every object of it, away.
func TestKept(t *testing.T) {
	files, err := render("slipway-crds", nil, cluster{})
	if err != nil {
		t.Fatal(err)
	}
	objects := []*unstructured.Unstructured{of(t, rendered(t, values(t, minimal), cluster{}), "CustomResourceDefinition", "provisioners.karpenter.sh")}
	for _, name := range sorted(files) {
		objects = append(objects, decode(t, name, files[name])...)
	}
	if len(objects) != 4 {
		t.Errorf("%d CRDs, want 4", len(objects))
	}
	for _, o := range objects {
		if o.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s goes with its release", o.GetName())
		}
	}
}
