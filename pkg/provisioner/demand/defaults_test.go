package demand_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// A scheduler's default constraints are for pods that have none of their own and belong to something.
func TestDefaultSpread(t *testing.T) {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "ml", Name: name} }
	service := func(name string, selector labelled) *corev1.Service {
		return &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{Selector: selector}}
	}
	elsewhere := service("elsewhere", labelled{"app": "web"})
	elsewhere.Namespace = "ops"
	owned := func(version, kind string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: "owner", Controller: new(true)}}
		}
	}
	defaults := demand.Defaults{
		Constraints:  []spread{{MaxSkew: 2, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule}},
		Services:     []*corev1.Service{service("web", labelled{"app": "web"}), service("db", labelled{"app": "db"}), service("external", nil), elsewhere},
		Controllers:  []*corev1.ReplicationController{{ObjectMeta: meta("owner"), Spec: corev1.ReplicationControllerSpec{Selector: labelled{"v": "1"}}}},
		ReplicaSets:  []*appsv1.ReplicaSet{{ObjectMeta: meta("owner"), Spec: appsv1.ReplicaSetSpec{Selector: having("v", "2")}}},
		StatefulSets: []*appsv1.StatefulSet{{ObjectMeta: meta("owner"), Spec: appsv1.StatefulSetSpec{Selector: having("v", "3")}}},
	}
	own := spreading(spread{MaxSkew: 1, TopologyKey: "rack", LabelSelector: having("app", "web")})
	for name, tc := range map[string]struct {
		pod  []func(*corev1.Pod)
		want key // none: no constraint
	}{
		"of a Service":                  {[]func(*corev1.Pod){with("app", "web"), owned("batch/v1", "Job")}, "ml/app=web"},
		"of a ReplicationController":    {[]func(*corev1.Pod){with("v", "1"), owned("v1", "ReplicationController")}, "ml/v=1"},
		"of a Service and a ReplicaSet": {[]func(*corev1.Pod){with("app", "web", "v", "2"), owned("apps/v1", "ReplicaSet")}, "ml/app=web,v=2"},
		"of a StatefulSet":              {[]func(*corev1.Pod){with("v", "3"), owned("apps/v1", "StatefulSet")}, "ml/v=3"},
		"of a Job":                      {[]func(*corev1.Pod){with("v", "3"), owned("batch/v1", "Job")}, ""},
		"of another API's StatefulSet":  {[]func(*corev1.Pod){with("v", "3"), owned("other/v1", "StatefulSet")}, ""},
		"with a constraint of its own":  {[]func(*corev1.Pod){with("app", "web"), own}, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			got := demand.NewNeighbourhood(demand.Surroundings{Waiting: []*corev1.Pod{gpuPod("a", tc.pod...)}, Defaults: defaults}).Demands()[0].Neighbours.Spread
			var want []demand.Spread
			switch tc.want {
			case "":
			case "-":
				want = []demand.Spread{{Term: demand.Term{TopologyKey: "rack", Selector: "ml/app=web"}, MaxSkew: 1}}
			default:
				want = []demand.Spread{{Term: demand.Term{TopologyKey: "zone", Selector: tc.want}, MaxSkew: 2}}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Spread (-want +got):\n%s", diff)
			}
		})
	}
}
