package judge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// later is the world some moments after a decision: some of its claims are there, launched or not, some have joined and carry a part of
// their pods already, some could not be created; and a few more pods wait.
func (w *world) later(ctx context.Context, seed uint64, decision plan.Decision) (*world, error) {
	d := &draw{Rand: rand.New(rand.NewPCG(seed, 0x2d)), world: *w, named: 1000}
	d.objects = slices.Clone(w.objects)
	d.age += time.Second // a claim's name follows from when it was decided
	var joined []placed
	for i := range decision.Create {
		if d.chance(80) {
			joined = append(joined, d.carryOut(decision.Create[i].DeepCopy())...)
		}
	}
	if err := d.bindSome(ctx, joined); err != nil {
		return nil, err
	}
	var waits []*corev1.Pod
	each(&d.world, func(p *corev1.Pod) {
		if p.Spec.NodeName == "" && p.Status.NominatedNodeName == "" && len(p.Spec.Volumes) == 0 {
			waits = append(waits, p)
		}
	})
	for range min(len(waits), d.IntN(4)) {
		p := pick(d, waits...).DeepCopy()
		p.Name = ""
		d.add(p, "late")
	}
	return &d.world, nil
}

// carryOut creates a claim, and takes it some steps further. It answers the pods whose node is there now.
func (d *draw) carryOut(c *v1alpha1.NodeClaim) []placed {
	d.add(c, "claim")
	c.CreationTimestamp = metav1.NewTime(noon)
	if d.chance(40) {
		return nil
	}
	choice := pick(d, c.Spec.Choices...)
	c.Status.InstanceType, c.Status.Zone = choice.InstanceType, choice.Zone
	c.Status.ProviderID = fmt.Sprintf("aws:///%s/i-%s", choice.Zone, c.Name)
	if d.chance(50) {
		return nil
	}
	n, driver := d.nodeOf(&c.Spec, choice, "at-"+c.Name)
	n.Spec.ProviderID, c.Status.NodeName = c.Status.ProviderID, n.Name
	c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon)}}
	d.add(n, "node")
	d.add(driver, "driver")
	for _, p := range daemonPods(&d.world, n) {
		d.objects = append(d.objects, p)
	}
	var list []placed
	for _, ref := range c.Spec.Pods {
		list = append(list, placed{d.pod(ref), n.Name})
	}
	return list
}

// bindSome has kube-scheduler bind some of the pods whose node has joined.
func (d *draw) bindSome(ctx context.Context, joined []placed) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	s, err := newScheduler(ctx, asObjects(d.objects), d.defaults)
	if err != nil {
		return err
	}
	for _, p := range joined {
		if !d.chance(50) || s.fits(ctx, p.pod, p.node) != nil {
			continue
		}
		if err := s.bind(p.pod, p.node); err != nil {
			return err
		}
		d.replace(s.pods[len(s.pods)-1])
	}
	for _, kind := range []client.Object{&corev1.PersistentVolumeClaim{}, &corev1.PersistentVolume{}} {
		for _, item := range s.list(kind) {
			d.replace(item)
		}
	}
	return nil
}

// replace puts an object in the place of the one that it was, or adds it.
func (d *draw) replace(o client.Object) {
	i := slices.IndexFunc(d.objects, func(have client.Object) bool {
		return reflect.TypeOf(have) == reflect.TypeOf(o) && client.ObjectKeyFromObject(have) == client.ObjectKeyFromObject(o)
	})
	if i < 0 {
		d.objects = append(d.objects, o)
		return
	}
	d.objects[i] = o
}
