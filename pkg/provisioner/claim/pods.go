package claim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// fieldNodeName selects the pods of a node; the API server keeps an index of it.
const fieldNodeName = "spec.nodeName"

// podsOn answers every pod that is bound to a node, from the API server, pods with GPUs first, then by namespace and name.
func (s *scope) podsOn(ctx context.Context, node string) ([]*corev1.Pod, error) {
	var list corev1.PodList
	if err := s.r.cfg.Live.List(ctx, &list, client.MatchingFields{fieldNodeName: node}); err != nil {
		return nil, fmt.Errorf("listing the pods of node %s: %w", node, err)
	}
	pods := pointers(list.Items)
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		if ga, gb := demand.AsksForGPU(a), demand.AsksForGPU(b); ga != gb {
			if ga {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return pods, nil
}

// movable answers those of the pods that have to leave a node before it can go.
func (s *scope) movable(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return !demand.HasToLeave(p, s.now) })
}

func leaving(pod *corev1.Pod) bool { return !pod.DeletionTimestamp.IsZero() }

// wish answers the annotation by which a pod asks not to be disturbed at present; empty: there is none. Karpenter's also takes a duration:
// from the pod's start on.
func wish(pod *corev1.Pod, now time.Time) string {
	for _, key := range []string{v1alpha1.AnnotationDoNotDisrupt, v1alpha1.KarpenterDoNotDisrupt, v1alpha1.KarpenterDoNotEvict} {
		value := pod.Annotations[key]
		if value == "true" {
			return key
		}
		if d, err := time.ParseDuration(value); err == nil && pod.Status.StartTime != nil && now.Before(pod.Status.StartTime.Add(d)) {
			return key
		}
	}
	return ""
}

func grace(pod *corev1.Pod) time.Duration {
	if seconds := pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
		return time.Duration(*seconds) * time.Second
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}
