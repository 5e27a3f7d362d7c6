package judge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

const (
	region    = "us-east-1"
	className = "default"
	rootGiB   = 200
)

// noon is when everything is looked at first.
var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world is a cluster as its API server has it, and what EC2 sells.
type world struct {
	objects   []client.Object
	types     []cloud.InstanceType
	offerings []cloud.Offering
	zones     []string                                      // in which the EC2NodeClass has subnets
	age       time.Duration                                 // since noon
	scarce    map[cloud.OfferingKey]inventory.OfferingState // what cannot be bought at all, or not often
	defaults  []corev1.TopologySpreadConstraint             // of the scheduler's configuration, for pods that have none
}

// view gathers the world as the controller does.
func (w *world) view(ctx context.Context) (plan.View, error) {
	catalogue := inventory.NewCatalogue(w, time.Minute, logr.Discard(), nil)
	if err := catalogue.Load(ctx); err != nil {
		return plan.View{}, err
	}
	mirror, err := inventory.New(inventory.Config{Reader: reader(w.objects), Catalogue: catalogue, NodeClasses: w, Health: w,
		Orphans: func() []cloud.Instance { return nil }, Region: region, DefaultSpread: w.defaults, Now: func() time.Time { return noon.Add(w.age) }})
	if err != nil {
		return plan.View{}, err
	}
	return mirror.View(ctx)
}

// Load is the cloud's catalogue.
func (w *world) Load(context.Context) (cloud.Snapshot, error) {
	return cloud.Snapshot{Types: w.types, Offerings: w.offerings}, nil
}

// PlanningFacts answers for the one EC2NodeClass.
func (w *world) PlanningFacts(string) (inventory.NodeClassFacts, error) {
	return inventory.NodeClassFacts{Zones: w.zones, Architectures: []string{"amd64"}, Disk: plan.Disk{RootVolumeGiB: rootGiB}}, nil
}

// OfferingState: what is not said to be scarce can be bought.
func (w *world) OfferingState(key cloud.OfferingKey, _ time.Time) inventory.OfferingState {
	if s, scarce := w.scarce[key]; scarce {
		return s
	}
	return inventory.OfferingState{Stock: -1}
}

// each calls f for the objects of one type.
func each[T client.Object](w *world, f func(T)) {
	for _, o := range w.objects {
		if typed, ok := o.(T); ok {
			f(typed)
		}
	}
}

// pod answers the pod of this UID.
func (w *world) pod(ref v1alpha1.PodRef) *corev1.Pod {
	var found *corev1.Pod
	each(w, func(p *corev1.Pod) {
		if p.UID == ref.UID {
			found = p
		}
	})
	return found
}

// reader is the controller's cache of the world. Only what the inventory asks for is answered; anything else is an error, so that a new
// question is noticed.
type reader []client.Object

var errQuestion = errors.New("the world is not asked this way")

// Get finds an object by its name.
func (r reader) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	return fmt.Errorf("getting %T %s: %w", into, key, errQuestion)
}

// List answers all objects of the list's type, or their metadata if no more is asked.
func (r reader) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	for _, o := range opts {
		if o != client.UnsafeDisableDeepCopy {
			return fmt.Errorf("listing %T with %T: %w", list, o, errQuestion)
		}
	}
	if partial, ok := list.(*metav1.PartialObjectMetadataList); ok {
		if partial.Kind != "NamespaceList" {
			return fmt.Errorf("listing metadata of %s: %w", partial.Kind, errQuestion)
		}
		for _, o := range r {
			if n, ok := o.(*corev1.Namespace); ok {
				partial.Items = append(partial.Items, metav1.PartialObjectMetadata{ObjectMeta: n.ObjectMeta})
			}
		}
		return nil
	}
	var items []runtime.Object
	for _, o := range r {
		if fmt.Sprintf("%TList", o) == fmt.Sprintf("%T", list) {
			items = append(items, o)
		}
	}
	if err := meta.SetList(list, items); err != nil {
		return fmt.Errorf("answering %T: %w", list, err)
	}
	return nil
}
