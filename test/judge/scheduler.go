package judge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
)

// scheduler is kube-scheduler's default profile over a cluster in memory: who fits where, by its own plugins.
type scheduler struct {
	framework framework.Framework
	stores    stores
	snapshot
	nodes     []*corev1.Node
	pods      []*corev1.Pod // bound
	nominated nominator
	version   int
}

// snapshot stands between the framework, which keeps the lister that it was made with, and the picture of the moment.
type snapshot struct{ *cache.Snapshot }

// nominator answers the pods that others make room for, by node.
type nominator struct {
	fwk.PodNominator
	pods map[string][]fwk.PodInfo
}

// NominatedPodsForNode answers the pods nominated to a node.
func (n nominator) NominatedPodsForNode(node string) []fwk.PodInfo { return n.pods[node] }

// newScheduler answers a scheduler that sees the objects. Pods without a node and not nominated to one are not its business until Fits asks
// about them. It spreads pods that have no constraints by the defaults. It ends with ctx.
func newScheduler(ctx context.Context, objects []runtime.Object, defaults []corev1.TopologySpreadConstraint) (*scheduler, error) {
	metrics.Register()
	profile, err := defaultProfile(defaults)
	if err != nil {
		return nil, err
	}
	factory, stores := newInformers()
	s := &scheduler{stores: stores, nominated: nominator{pods: map[string][]fwk.PodInfo{}}}
	for _, o := range objects {
		s.see(o)
	}
	s.look()
	s.framework, err = frameworkruntime.NewFramework(ctx, plugins.NewInTreeRegistry(), profile,
		frameworkruntime.WithInformerFactory(factory), frameworkruntime.WithSnapshotSharedLister(&s.snapshot),
		frameworkruntime.WithSharedCSIManager(nodevolumelimits.NewCSIManager(factory.Storage().V1().CSINodes().Lister())),
		frameworkruntime.WithPodNominator(s.nominated), frameworkruntime.WithParallelism(1))
	if err != nil {
		return nil, fmt.Errorf("making kube-scheduler's framework: %w", err)
	}
	return s, nil
}

// defaultProfile is what kube-scheduler runs without a configuration, but for dynamic resource allocation and preemption: pods with
// resource claims are not generated, and who could be preempted is no question of a filter; and for default constraints, if there are any.
func defaultProfile(defaults []corev1.TopologySpreadConstraint) (*config.KubeSchedulerProfile, error) {
	c, err := latest.Default()
	if err != nil {
		return nil, fmt.Errorf("reading kube-scheduler's defaults: %w", err)
	}
	profile := &c.Profiles[0]
	enabled := &profile.Plugins.MultiPoint.Enabled
	*enabled = slices.DeleteFunc(*enabled, func(p config.Plugin) bool {
		return p.Name == names.DynamicResources || p.Name == names.DefaultPreemption
	})
	for _, c := range profile.PluginConfig {
		if args, ok := c.Args.(*config.PodTopologySpreadArgs); ok && len(defaults) > 0 {
			args.DefaultConstraints, args.DefaultingType = defaults, config.ListDefaulting
		}
	}
	return profile, nil
}

// see takes in an object without looking at the whole anew.
func (s *scheduler) see(o runtime.Object) {
	s.stores.put(o)
	switch o := o.(type) {
	case *corev1.Node:
		s.nodes = append(s.nodes, o)
	case *corev1.Pod:
		switch {
		case o.Status.Phase == corev1.PodSucceeded || o.Status.Phase == corev1.PodFailed:
		case o.Spec.NodeName != "":
			s.pods = append(s.pods, o)
		case o.Status.NominatedNodeName != "":
			info, err := framework.NewPodInfo(o)
			if err == nil {
				s.nominated.pods[o.Status.NominatedNodeName] = append(s.nominated.pods[o.Status.NominatedNodeName], info)
			}
		}
	}
}

// look makes the picture that the plugins see of the nodes and the pods on them. A pod may still be there when its node is gone.
func (s *scheduler) look() {
	there := make(map[string]bool, len(s.nodes))
	for _, n := range s.nodes {
		there[n.Name] = true
	}
	pods := slices.DeleteFunc(slices.Clone(s.pods), func(p *corev1.Pod) bool { return !there[p.Spec.NodeName] })
	s.Snapshot = cache.NewSnapshot(pods, s.nodes)
}

// errPlugin: a plugin failed rather than said no.
var errPlugin = errors.New("plugin failed")

// fits answers nil if kube-scheduler would bind the pod to the node now, else an error in its words.
func (s *scheduler) fits(ctx context.Context, pod *corev1.Pod, node string) error {
	state := framework.NewCycleState()
	result, status, _ := s.framework.RunPreFilterPlugins(ctx, state, pod)
	if !status.IsSuccess() {
		return said(status)
	}
	if !result.AllNodes() && !result.NodeNames.Has(node) {
		return fmt.Errorf("PreFilter leaves only nodes %v", result.NodeNames.UnsortedList())
	}
	info, err := s.NodeInfos().Get(node)
	if err != nil {
		return fmt.Errorf("finding node %s: %w", node, errors.Join(errPlugin, err))
	}
	return said(s.framework.RunFilterPluginsWithNominatedPods(ctx, state, pod, info))
}

func said(status *fwk.Status) error {
	switch {
	case status.IsSuccess():
		return nil
	case status.IsRejected():
		return fmt.Errorf("%s: %s", status.Plugin(), status.Message())
	}
	return fmt.Errorf("%w: %s: %s", errPlugin, status.Plugin(), status.Message())
}

// bind puts the pod onto the node, and its volumes to where the node is, as the volume controllers would.
func (s *scheduler) bind(pod *corev1.Pod, node string) error {
	if err := s.provision(pod, node); err != nil {
		return err
	}
	bound := pod.DeepCopy()
	bound.Spec.NodeName = node
	s.pods = append(s.pods, bound)
	s.stores.put(bound)
	s.look()
	return nil
}

// bindNominated binds those that others make room for, as far as they fit by now.
func (s *scheduler) bindNominated(ctx context.Context) error {
	for _, node := range slices.Sorted(maps.Keys(s.nominated.pods)) {
		list := s.nominated.pods[node]
		s.nominated.pods[node] = slices.DeleteFunc(slices.Clone(list), func(info fwk.PodInfo) bool {
			return s.node(node) != nil && s.fits(ctx, info.GetPod(), node) == nil
		})
		for _, info := range list {
			if slices.Contains(s.nominated.pods[node], info) {
				continue
			}
			if err := s.bind(info.GetPod(), node); err != nil {
				return err
			}
		}
	}
	return nil
}

// saved is a state to go back to.
type saved struct {
	nominated map[string][]fwk.PodInfo
	nodes     []*corev1.Node
	pods      []*corev1.Pod
	stored    map[reflect.Type][]any
}

func (s *scheduler) save() saved {
	was := saved{maps.Clone(s.nominated.pods), slices.Clone(s.nodes), slices.Clone(s.pods), map[reflect.Type][]any{}}
	for kind, store := range s.stores {
		was.stored[kind] = store.List()
	}
	return was
}

func (s *scheduler) restore(was saved) {
	s.nodes, s.pods = slices.Clone(was.nodes), slices.Clone(was.pods)
	maps.Copy(s.nominated.pods, was.nominated) // no node is ever taken out
	for kind, items := range was.stored {
		if err := s.stores[kind].Replace(items, ""); err != nil {
			panic(fmt.Sprintf("putting back %s: %v", kind, err)) // only if a key or index function fails
		}
	}
	s.look()
}
