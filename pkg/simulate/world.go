package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// knownKinds is made once: nobody changes it.
var knownKinds = sync.OnceValues(newScheme)

// newScheme knows Kubernetes' own kinds, ours and Karpenter's old Provisioner.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, karpenterv1alpha5.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	return scheme, nil
}

// world is a client.Reader of objects in memory, laid over those of a live cluster if there is one: an object of the same kind and name
// replaces the live one. Nobody changes what it holds.
type world struct {
	scheme *runtime.Scheme
	live   client.Reader // nil: there is no cluster
	kinds  map[schema.GroupKind]map[client.ObjectKey]client.Object
}

func newWorld(scheme *runtime.Scheme, live client.Reader) *world {
	return &world{scheme: scheme, live: live, kinds: map[schema.GroupKind]map[client.ObjectKey]client.Object{}}
}

// add puts an object there; false: there is one of its kind and name already.
func (w *world) add(kind schema.GroupKind, object client.Object) bool {
	if w.kinds[kind] == nil {
		w.kinds[kind] = map[client.ObjectKey]client.Object{}
	}
	key := client.ObjectKeyFromObject(object)
	if _, taken := w.kinds[kind][key]; taken {
		return false
	}
	w.kinds[kind][key] = object
	return true
}

// Get answers one object.
func (w *world) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	gvk, err := apiutil.GVKForObject(into, w.scheme)
	if err != nil {
		return err
	}
	if object, ok := w.kinds[gvk.GroupKind()][key]; ok {
		return w.copy(object, into)
	}
	if w.live != nil {
		return w.live.Get(ctx, key, into, opts...)
	}
	return apierrors.NewNotFound(schema.GroupResource{Group: gvk.Group, Resource: strings.ToLower(gvk.Kind)}, key.String())
}

// List answers all objects of a kind, those of the live cluster first. A kind that the cluster does not serve has no objects.
func (w *world) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	gvk, err := apiutil.GVKForObject(list, w.scheme)
	if err != nil {
		return err
	}
	kind := schema.GroupKind{Group: gvk.Group, Kind: strings.TrimSuffix(gvk.Kind, "List")}
	var options client.ListOptions
	options.ApplyOptions(opts)
	if options.FieldSelector != nil {
		return errors.New("a simulated cluster cannot be listed by field")
	}
	added := w.kinds[kind]
	var all []runtime.Object
	if w.live != nil {
		if err := w.live.List(ctx, list, opts...); err != nil && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
			return reading(kind.String(), err)
		}
		if all, err = w.keep(list, added); err != nil {
			return err
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(added), compareKeys) {
		object := added[key]
		if options.Namespace != "" && key.Namespace != options.Namespace ||
			options.LabelSelector != nil && !options.LabelSelector.Matches(labels.Set(object.GetLabels())) {
			continue
		}
		if _, partial := list.(*metav1.PartialObjectMetadataList); partial {
			only := &metav1.PartialObjectMetadata{}
			if err := w.copy(object, only); err != nil {
				return err
			}
			object = only
		}
		all = append(all, object)
	}
	return meta.SetList(list, all)
}

// keep answers those objects of a list that nothing replaces.
func (w *world) keep(list client.ObjectList, replaced map[client.ObjectKey]client.Object) ([]runtime.Object, error) {
	var kept []runtime.Object
	err := meta.EachListItem(list, func(o runtime.Object) error {
		object, ok := o.(client.Object)
		if !ok {
			return fmt.Errorf("a list holds a %T", o)
		}
		if _, is := replaced[client.ObjectKeyFromObject(object)]; !is {
			kept = append(kept, object)
		}
		return nil
	})
	return kept, err
}

// copy fills into from an object: as it is, or only its metadata.
func (w *world) copy(object, into client.Object) error {
	if only, ok := into.(*metav1.PartialObjectMetadata); ok {
		*only = *meta.AsPartialObjectMetadata(object)
		return nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return err
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(content, into)
}

func compareKeys(a, b client.ObjectKey) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// reading says what was read, and which permission lacks.
func reading(kind string, err error) error {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return fmt.Errorf("reading %s of the cluster: the kubeconfig's user needs the verb list for it in all namespaces: %w", kind, err)
	}
	return fmt.Errorf("reading %s of the cluster: %w", kind, err)
}
