package stories_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/cmd/fakeaws/machine"
	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// labelStory keeps stories of one stage apart: nodes of a story's Provisioner have it as a label and as a taint, and only the story's
// pods select the one and tolerate the other.
const labelStory = "story"

// story is what a test does on a stage that it may share with others.
type story struct {
	*testing.T
	*world
	name string // of the story's Provisioner as well
}

// begin starts a story; what is there is printed if it fails.
func begin(t *testing.T, w *world, name string) *story {
	t.Helper()
	t.Cleanup(func() { w.tell(t, name) })
	return &story{T: t, world: w, name: name}
}

func (s *story) eventually(within time.Duration, what string, ok func() error) {
	s.Helper()
	s.world.eventually(s.T, within, what, ok)
}

func (s *story) create(objects ...client.Object) {
	s.Helper()
	for _, o := range objects {
		if err := s.world.Create(s.Context(), o); err != nil {
			s.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
	}
}

func (s *story) remove(o client.Object) {
	s.Helper()
	if err := s.world.Delete(s.Context(), o, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		s.Fatalf("deleting %T %s: %v", o, o.GetName(), err)
	}
}

// provision creates the story's Provisioner: spot machines of these types, idle for at most three seconds.
func (s *story) provision(changes func(*v1alpha1.ProvisionerSpec), instanceTypes ...string) *v1alpha1.Provisioner {
	s.Helper()
	in := func(key string, values ...string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}
	}
	p := &v1alpha1.Provisioner{
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Spec: v1alpha1.ProvisionerSpec{
			NodeClassRef: v1alpha1.NodeClassRef{Name: "default"},
			Requirements: []corev1.NodeSelectorRequirement{
				in(corev1.LabelInstanceTypeStable, instanceTypes...), in(v1alpha1.LabelCapacityType, "spot"),
			},
			Limits: v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("16")},
			Template: v1alpha1.NodeTemplate{
				Labels: map[string]string{labelStory: s.name},
				Taints: []corev1.Taint{{Key: labelStory, Value: s.name, Effect: corev1.TaintEffectNoSchedule}},
			},
			Disruption: v1alpha1.Disruption{IdleAfter: "3s"},
		},
	}
	if changes != nil {
		changes(&p.Spec)
	}
	s.create(p)
	return p
}

func limit(gpus string) func(*v1alpha1.ProvisionerSpec) {
	return func(spec *v1alpha1.ProvisionerSpec) {
		spec.Limits = v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse(gpus)}
	}
}

// podAsking answers a pod that runs until it is told to stop.
func podAsking(name string, gpus int) *corev1.Pod {
	limits := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("256Mi")}
	if gpus > 0 {
		limits[v1alpha1.ResourceGPU] = *resource.NewQuantity(int64(gpus), resource.DecimalSI)
	}
	grace := int64(2)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "c", Image: "example.com/work:1", Resources: corev1.ResourceRequirements{Limits: limits}}},
		},
	}
}

// pod answers a pod of the story.
func (s *story) pod(name string, gpus int) *corev1.Pod {
	p := podAsking(s.name+"-"+name, gpus)
	p.Labels[labelStory] = s.name
	p.Spec.NodeSelector = map[string]string{labelStory: s.name}
	p.Spec.Tolerations = []corev1.Toleration{{Key: labelStory, Value: s.name, Effect: corev1.TaintEffectNoSchedule}}
	return p
}

// shortly has a pod end by itself after a time.
func shortly(p *corev1.Pod, runs time.Duration) *corev1.Pod {
	p.Annotations = map[string]string{machine.RunSecondsAnnotation: fmt.Sprint(runs.Seconds())}
	return p
}

// deployment answers a Deployment of pods of the story.
func (s *story) deployment(name string, replicas int32, gpus int, changes func(*corev1.Pod)) *appsv1.Deployment {
	p := s.pod(name, gpus)
	p.Spec.RestartPolicy = corev1.RestartPolicyAlways
	if changes != nil {
		changes(p)
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, Labels: p.Labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: p.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.Labels, Annotations: p.Annotations}, Spec: p.Spec},
		},
	}
}

// budgetOfNone lets no pod of the story be evicted.
func (s *story) budgetOfNone() *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: s.name, Labels: map[string]string{labelStory: s.name}},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: &zero, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{labelStory: s.name}},
		},
	}
}

// podsRunning waits until so many pods of the story run, and answers them.
func (s *story) podsRunning(within time.Duration, count int) []*corev1.Pod {
	s.Helper()
	var list []*corev1.Pod
	s.eventually(within, fmt.Sprintf("%d pods to run", count), func() error {
		list = nil
		for _, p := range s.pods(s.name) {
			if running(p) {
				list = append(list, p)
			}
		}
		if len(list) != count {
			return fmt.Errorf("%d run", len(list))
		}
		return nil
	})
	return list
}

// settled waits until the story's machines and claims are the same, and nothing is launching, ending or unclaimed.
func (s *story) settled(within time.Duration, count int) {
	s.Helper()
	s.eventually(within, fmt.Sprintf("machines and claims to be the same %d", count), func() error {
		claims, machines := s.claims(s.name), s.machines(s.T, s.name)
		living := alive(machines)
		if len(claims) != count || len(living) != count {
			return fmt.Errorf("%d claims, %d machines alive", len(claims), len(living))
		}
		owned := map[string]bool{}
		for _, c := range claims {
			owned[c.Status.InstanceID] = c.DeletionTimestamp == nil && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady)
		}
		for _, i := range living {
			if !owned[i.ID] {
				return fmt.Errorf("machine %s has no claim that is ready", i.ID)
			}
		}
		return nil
	})
}

// claimOf answers the claim of the node that a pod runs on.
func (s *story) claimOf(p *corev1.Pod) *v1alpha1.NodeClaim {
	s.Helper()
	for _, c := range s.claims("") {
		if c.Status.NodeName == p.Spec.NodeName {
			return c
		}
	}
	s.Fatalf("no claim has node %q of pod %s", p.Spec.NodeName, p.Name)
	return nil
}

// ended waits until a claim is gone, its machine terminated and its node's object removed.
func (s *story) ended(within time.Duration, claim *v1alpha1.NodeClaim) wire.Instance {
	s.Helper()
	var i wire.Instance
	s.eventually(within, "claim "+claim.Name+" to end", func() error {
		for _, c := range s.claims(s.name) {
			if c.UID == claim.UID {
				return errors.New("it is still there")
			}
		}
		if i = s.machine(s.T, claim.Status.InstanceID); i.TerminatedAt.IsZero() {
			return fmt.Errorf("machine %s is %s", i.ID, i.State)
		}
		for _, n := range s.nodes() {
			if n.Spec.ProviderID == claim.Status.ProviderID {
				return fmt.Errorf("node %s is still there", n.Name)
			}
		}
		return nil
	})
	return i
}

// said waits for an event about an object whose note has all the words.
func (s *story) said(within time.Duration, about types.UID, reason string, words ...string) {
	s.Helper()
	s.eventually(within, "event "+reason, func() error {
		var others []string
		for _, e := range s.events(about) {
			missing := ""
			for _, word := range words {
				if !strings.Contains(e.Note, word) {
					missing = word
				}
			}
			if e.Reason == reason && missing == "" {
				return nil
			}
			others = append(others, e.Reason+": "+e.Note)
		}
		return fmt.Errorf("said was %q; want words %q", others, words)
	})
}

// deleteAll deletes every workload.
func (w *world) deleteAll(t *testing.T) {
	t.Helper()
	background := client.PropagationPolicy(metav1.DeletePropagationBackground)
	for _, kind := range []client.Object{&policyv1.PodDisruptionBudget{}, &appsv1.Deployment{}, &corev1.Pod{}} {
		err := w.DeleteAllOf(context.WithoutCancel(t.Context()), kind, client.InNamespace(metav1.NamespaceDefault), background)
		if err != nil {
			t.Fatalf("deleting every %T: %v", kind, err)
		}
	}
}
