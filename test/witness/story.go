package witness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/cmd/fakeaws/machine"
	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// LabelStory keeps stories of one stage apart: nodes of a story's Provisioner have it as a label and as a taint, and only the story's
// pods select the one and tolerate the other.
const LabelStory = "story"

// Story is what a test does on a stage that it may share with others.
type Story struct {
	*testing.T
	*World
	// Title is the name of the story's Provisioner as well.
	Title string
	// Namespace is where its pods are.
	Namespace string
}

// Begin starts a story in the default namespace; what is there is printed if it fails.
func Begin(t *testing.T, w *World, title string) *Story {
	t.Helper()
	t.Cleanup(func() { w.Tell(t, title) })
	return &Story{T: t, World: w, Title: title, Namespace: metav1.NamespaceDefault}
}

// Eventually polls until ok answers nil, and fails the test with its last answer.
func (s *Story) Eventually(within time.Duration, what string, ok func() error) {
	s.Helper()
	Eventually(s.T, within, what, ok)
}

// Create creates objects as they are.
func (s *Story) Create(objects ...client.Object) {
	s.Helper()
	for _, o := range objects {
		if err := s.World.Create(s.Context(), o); err != nil {
			s.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
	}
}

// Remove deletes an object, and in the background what it owns.
func (s *Story) Remove(o client.Object) {
	s.Helper()
	if err := s.World.Delete(s.Context(), o, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		s.Fatalf("deleting %T %s: %v", o, o.GetName(), err)
	}
}

// Provision creates the story's Provisioner: spot machines of these types, idle for at most three seconds.
func (s *Story) Provision(changes func(*v1alpha1.ProvisionerSpec), instanceTypes ...string) *v1alpha1.Provisioner {
	s.Helper()
	in := func(key string, values ...string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}
	}
	p := &v1alpha1.Provisioner{
		ObjectMeta: metav1.ObjectMeta{Name: s.Title},
		Spec: v1alpha1.ProvisionerSpec{
			NodeClassRef: v1alpha1.NodeClassRef{Name: "default"},
			Requirements: []corev1.NodeSelectorRequirement{
				in(corev1.LabelInstanceTypeStable, instanceTypes...), in(v1alpha1.LabelCapacityType, "spot"),
			},
			Limits: v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("16")},
			Template: v1alpha1.NodeTemplate{
				Labels: map[string]string{LabelStory: s.Title},
				Taints: []corev1.Taint{{Key: LabelStory, Value: s.Title, Effect: corev1.TaintEffectNoSchedule}},
			},
			Disruption: v1alpha1.Disruption{IdleAfter: "3s"},
		},
	}
	if changes != nil {
		changes(&p.Spec)
	}
	s.Create(p)
	return p
}

// Limit bounds the GPUs of a Provisioner.
func Limit(gpus string) func(*v1alpha1.ProvisionerSpec) {
	return func(spec *v1alpha1.ProvisionerSpec) {
		spec.Limits = v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse(gpus)}
	}
}

// PodAsking answers a pod that runs until it is told to stop.
func PodAsking(name string, gpus int) *corev1.Pod {
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

// Pod answers a pod of the story.
func (s *Story) Pod(name string, gpus int) *corev1.Pod {
	p := PodAsking(s.Title+"-"+name, gpus)
	p.Namespace = s.Namespace
	p.Labels[LabelStory] = s.Title
	p.Spec.NodeSelector = map[string]string{LabelStory: s.Title}
	p.Spec.Tolerations = []corev1.Toleration{{Key: LabelStory, Value: s.Title, Effect: corev1.TaintEffectNoSchedule}}
	return p
}

// Shortly has a pod end by itself after a time.
func Shortly(p *corev1.Pod, runs time.Duration) *corev1.Pod {
	p.Annotations = map[string]string{machine.RunSecondsAnnotation: fmt.Sprint(runs.Seconds())}
	return p
}

// Deployment answers a Deployment of pods of the story.
func (s *Story) Deployment(name string, replicas int32, gpus int, changes func(*corev1.Pod)) *appsv1.Deployment {
	p := s.Pod(name, gpus)
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

// BudgetOfNone lets no pod of the story be evicted.
func (s *Story) BudgetOfNone() *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Title, Labels: map[string]string{LabelStory: s.Title}},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{LabelStory: s.Title}},
		},
	}
}

// PodsRunning waits until so many pods of the story run, and answers them.
func (s *Story) PodsRunning(within time.Duration, count int) []*corev1.Pod {
	s.Helper()
	var list []*corev1.Pod
	s.Eventually(within, fmt.Sprintf("%d pods to run", count), func() error {
		list = nil
		for _, p := range s.Pods(s.Title) {
			if Running(p) {
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

// Settled waits until the story's machines and claims are the same, and nothing is launching, ending or unclaimed.
func (s *Story) Settled(within time.Duration, count int) {
	s.Helper()
	s.Eventually(within, fmt.Sprintf("machines and claims to be the same %d", count), func() error {
		claims, machines := s.Claims(s.Title), s.Machines(s.T, s.Title)
		living := Alive(machines)
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

// ClaimOf answers the claim of the node that a pod runs on.
func (s *Story) ClaimOf(p *corev1.Pod) *v1alpha1.NodeClaim {
	s.Helper()
	for _, c := range s.Claims("") {
		if c.Status.NodeName == p.Spec.NodeName {
			return c
		}
	}
	s.Fatalf("no claim has node %q of pod %s", p.Spec.NodeName, p.Name)
	return nil
}

// Ended waits until a claim is gone, its machine terminated and its node's object removed.
func (s *Story) Ended(within time.Duration, claim *v1alpha1.NodeClaim) wire.Instance {
	s.Helper()
	var i wire.Instance
	s.Eventually(within, "claim "+claim.Name+" to end", func() error {
		for _, c := range s.Claims(s.Title) {
			if c.UID == claim.UID {
				return errors.New("it is still there")
			}
		}
		if i = s.Machine(s.T, claim.Status.InstanceID); i.TerminatedAt.IsZero() {
			return fmt.Errorf("machine %s is %s", i.ID, i.State)
		}
		for _, n := range s.Nodes() {
			if n.Spec.ProviderID == claim.Status.ProviderID {
				return fmt.Errorf("node %s is still there", n.Name)
			}
		}
		return nil
	})
	return i
}

// Said waits for an event about an object whose note has all the words.
func (s *Story) Said(within time.Duration, about types.UID, reason string, words ...string) {
	s.Helper()
	s.Eventually(within, "event "+reason, func() error {
		var others []string
		for _, e := range s.Events(about) {
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

// DeleteAll deletes every workload in the namespaces; none named: in the default one.
func (w *World) DeleteAll(t *testing.T, namespaces ...string) {
	t.Helper()
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceDefault}
	}
	background := client.PropagationPolicy(metav1.DeletePropagationBackground)
	for _, namespace := range namespaces {
		for _, kind := range []client.Object{&policyv1.PodDisruptionBudget{}, &appsv1.Deployment{}, &batchv1.Job{}, &corev1.Pod{}} {
			if err := w.DeleteAllOf(context.WithoutCancel(t.Context()), kind, client.InNamespace(namespace), background); err != nil {
				t.Fatalf("deleting every %T in %s: %v", kind, namespace, err)
			}
		}
	}
}

// HeldByLimit waits until so many pods of the story wait, each told which limit to raise and how far.
func (s *Story) HeldByLimit(count, gpus int) {
	s.Helper()
	var waiting []*corev1.Pod
	s.Eventually(30*time.Second, fmt.Sprintf("%d pods to wait", count), func() error {
		waiting = slices.DeleteFunc(s.Pods(s.Title), func(p *corev1.Pod) bool { return p.Spec.NodeName != "" || p.DeletionTimestamp != nil })
		if len(waiting) != count {
			return fmt.Errorf("%d wait", len(waiting))
		}
		return nil
	})
	for _, p := range waiting {
		s.Said(30*time.Second, p.UID, string(v1alpha1.HeldLimit), fmt.Sprintf("spec.limits.gpu of Provisioner %s is %d", s.Title, gpus),
			fmt.Sprintf("if limits.gpu of Provisioner %s were at least %d", s.Title, gpus+1))
	}
}

// Succeeded waits until pods of the story have done their work.
func (s *Story) Succeeded(within time.Duration, names ...string) {
	s.Helper()
	for _, name := range names {
		s.Eventually(within, "pod "+name+" to do its work", func() error {
			for _, p := range s.Pods(s.Title) {
				switch {
				case p.Name == name && p.Status.Phase == corev1.PodSucceeded:
					return nil
				case p.Name == name && p.Status.Phase == corev1.PodFailed:
					s.Fatalf("pod %s failed: %s %s", name, p.Status.Reason, p.Status.Message)
				}
			}
			return errors.New("it has not")
		})
	}
}
