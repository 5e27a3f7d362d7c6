package simulate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// liveCluster answers a world to be read as a live cluster: a Deployment with two pods that run, a StatefulSet with one, a class.
func liveCluster(t *testing.T) *world {
	t.Helper()
	scheme, err := knownKinds()
	if err != nil {
		t.Fatal(err)
	}
	live := newWorld(scheme, nil)
	pod := func(name, owner, labels string) string {
		kind, of, _ := strings.Cut(owner, "/")
		return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  name: %s
  namespace: default
  uid: %s
  labels: {%s}
  ownerReferences: [{apiVersion: apps/v1, kind: %s, name: %s, uid: x, controller: true}]
spec:
  nodeName: elsewhere
  containers: [{name: c, image: i, resources: {limits: {nvidia.com/gpu: "1"}}}]
status: {phase: Running}
---`, name, name, labels, kind, of)
	}
	for _, m := range read(t, pod("serve-6d4cf56db6-abcde", "ReplicaSet/serve-6d4cf56db6", "pod-template-hash: 6d4cf56db6")+
		pod("serve-6d4cf56db6-fghij", "ReplicaSet/serve-6d4cf56db6", "pod-template-hash: 6d4cf56db6")+pod("db-0", "StatefulSet/db", "")+`
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: urgent}
value: 7
---
apiVersion: slipway.sh/v1alpha1
kind: EC2NodeClass
metadata: {name: default}
spec: {role: r, amiSelectorTerms: [{alias: al2023@latest}], subnetSelectorTerms: [{id: subnet-1}], securityGroupSelectorTerms: [{id: sg-1}]}
---
apiVersion: slipway.sh/v1alpha1
kind: Provisioner
metadata: {name: gpu}
spec: {nodeClassRef: {name: default}, requirements: [{key: slipway.sh/instance-family, operator: In, values: [g4dn]}]}
`) {
		live.add(m.Object.GetObjectKind().GroupVersionKind().GroupKind(), m.Object)
	}
	return live
}

// TestOverlay: a workload that the live cluster has already adds only the pods that it lacks there, and a class of the cluster counts.
func TestOverlay(t *testing.T) {
	workload := func(kind, name string, replicas int) string {
		return fmt.Sprintf(`
apiVersion: apps/v1
kind: %s
metadata: {name: %s}
spec:
  replicas: %d
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec:
      priorityClassName: urgent
      containers: [{name: c, image: i, resources: {limits: {nvidia.com/gpu: "1"}}}]
`, kind, name, replicas)
	}
	for name, tc := range map[string]struct {
		manifest string
		pods     int
		assumed  string
	}{
		"a new one":                    {workload("Deployment", "other", 3), 3, ""},
		"a Deployment that grows":      {workload("Deployment", "serve", 5), 3, "Deployment/serve has 2 pods in the cluster, which stay as they are; 3 are added"},
		"a Deployment that shrinks":    {workload("Deployment", "serve", 1), 0, "Deployment/serve has 2 pods in the cluster, which stay as they are; 0 are added"},
		"a StatefulSet that grows":     {workload("StatefulSet", "db", 3), 2, "StatefulSet/db has 1 pods in the cluster, which stay as they are; 2 are added"},
		"one of another kind and name": {workload("StatefulSet", "serve", 2), 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := gather(t, Config{Manifests: read(t, tc.manifest), Live: liveCluster(t)})
			pods := 0
			for _, d := range s.View.Demands {
				pods += len(d.Pods)
				if d.Priority != 7 {
					t.Errorf("demand %s has priority %d, want that of the cluster's class", d.Key, d.Priority)
				}
			}
			if pods != tc.pods {
				t.Errorf("%d pods wait, want %d", pods, tc.pods)
			}
			if tc.assumed != "" && !slices.Contains(s.Assumptions, tc.assumed) {
				t.Errorf("assumptions %q, want %q", s.Assumptions, tc.assumed)
			}
			if i := slices.IndexFunc(s.Assumptions, func(a string) bool { return strings.Contains(a, "urgent") }); i >= 0 {
				t.Errorf("assumed %q of a class that the cluster has", s.Assumptions[i])
			}
		})
	}
}
