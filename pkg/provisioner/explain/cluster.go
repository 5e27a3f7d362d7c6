package explain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// ErrNotFound: there is no such pod, node or NodeClaim.
var ErrNotFound = errors.New("not found")

// Cluster explains what a live cluster shows. It only reads, with the rights of whoever asks.
type Cluster struct {
	Reader client.Reader
	Now    func() time.Time
}

// Pod explains a pod by name. ErrNotFound: there is none. What may not be read besides the pod is named in the answer.
func (c Cluster) Pod(ctx context.Context, namespace, name string) (Pod, error) {
	var pod corev1.Pod
	if err := c.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &pod); err != nil {
		return Pod{}, reading(err, "pod "+namespace+"/"+name)
	}
	var claims v1alpha1.NodeClaimList
	err := c.Reader.List(ctx, &claims)
	answer := OfPod(&pod, claims.Items)
	answer.Unknown = unknown(answer.Unknown, err, "the nodes that were launched for it")
	return answer, nil
}

// Node explains a node by its name or that of its NodeClaim. ErrNotFound: there is neither.
func (c Cluster) Node(ctx context.Context, name string) (Node, error) {
	f := NodeFacts{Now: c.Now()}
	var lacking []string
	var claims v1alpha1.NodeClaimList
	if err := c.Reader.List(ctx, &claims); err != nil {
		lacking = unknown(lacking, err, "whether Slipway launched it")
	}
	node := name
	for i := range claims.Items {
		if claim := &claims.Items[i]; claim.Name == name || claim.Status.NodeName == name {
			f.Claim, node = claim, claim.Status.NodeName
		}
	}
	if node != "" {
		f.Node = &corev1.Node{}
		err := c.Reader.Get(ctx, client.ObjectKey{Name: node}, f.Node)
		if err != nil {
			f.Node = nil
		}
		switch {
		case err != nil && f.Claim == nil:
			return Node{}, reading(err, "node or NodeClaim "+name)
		case err != nil && !apierrors.IsNotFound(err):
			lacking = unknown(lacking, err, "annotations of the node")
		}
	}
	if f.Claim != nil {
		f.Provisioner = &v1alpha1.Provisioner{}
		if err := c.Reader.Get(ctx, client.ObjectKey{Name: f.Claim.Spec.Provisioner}, f.Provisioner); err != nil {
			f.Provisioner = nil
			lacking = unknown(lacking, client.IgnoreNotFound(err), "the limits of its Provisioner")
		}
	}
	lacking = c.pods(ctx, &f, node, lacking)
	answer := OfNode(f)
	answer.Unknown = lacking
	return answer, nil
}

// pods reads what is on the node, and what it was bought for and is elsewhere.
func (c Cluster) pods(ctx context.Context, f *NodeFacts, node string, lacking []string) []string {
	if node != "" {
		var on corev1.PodList
		err := c.Reader.List(ctx, &on, client.MatchingFields{"spec.nodeName": node})
		f.Pods, lacking = on.Items, unknown(lacking, err, "the pods on it")
	}
	if f.Claim == nil {
		return lacking
	}
	for _, ref := range f.Claim.Spec.Pods {
		if slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool { return p.UID == ref.UID }) {
			continue
		}
		var pod corev1.Pod
		err := c.Reader.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, &pod)
		if err == nil {
			f.Others = append(f.Others, pod)
		} else if client.IgnoreNotFound(err) != nil {
			return unknown(lacking, err, "where the pods are that it was bought for")
		}
	}
	return lacking
}

// reading wraps the error of reading what was asked for.
func reading(err error, what string) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return fmt.Errorf("reading %s: %w", what, err)
}

// unknown adds what could not be read; a permission that lacks is named by the API server.
func unknown(list []string, err error, what string) []string {
	switch {
	case err == nil:
		return list
	case meta.IsNoMatchError(err):
		return append(list, what+": the cluster does not serve slipway.sh/v1alpha1; is Slipway installed?")
	default:
		return append(list, fmt.Sprintf("%s: %s", what, err))
	}
}

func sortedKeys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// decimal writes a quantity as people write limits.
func decimal(q resource.Quantity) string {
	if q.Format == resource.BinarySI {
		return q.String()
	}
	text := q.AsDec().String()
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}
