package claim_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/claim"
)

// tick lets a second pass: kubelets do their work, the cache may catch up, the queue hands out what is due.
func (w *world) tick() { w.tickUpTo(time.Second) }

// next is how long nothing will happen by itself: at least a second.
func (w *world) next() time.Duration {
	w.enqueueChanges() // of what the test has done since the last tick
	now := time.Now()
	if w.stale != nil || len(w.dueClaims()) > 0 {
		return time.Second
	}
	soonest := w.nextGC
	consider := func(at time.Time) {
		if at.After(now) && at.Before(soonest) {
			soonest = at
		}
	}
	for _, at := range w.due {
		consider(at)
	}
	for _, end := range w.ends {
		consider(end)
	}
	for _, m := range w.cloud.Machines() {
		consider(m.JoinAt)
		consider(m.GPUAt)
	}
	if at, any := w.cloud.Next(); any {
		consider(at)
	}
	return max(time.Second, soonest.Sub(now))
}

// tickUpTo is tick for as long as nothing happens, at most for limit.
func (w *world) tickUpTo(limit time.Duration) {
	time.Sleep(max(time.Second, min(limit, w.next())))
	w.kubelets()
	if w.stale != nil && (w.lag == nil || w.stale.IntN(4) == 0) {
		w.lag = w.takeSnapshot()
	}
	w.enqueueChanges()
	w.sweep()
	for round := 0; ; round++ { // a claim may ask to be seen again at once, but not for ever
		due := w.dueClaims()
		if len(due) == 0 {
			break
		}
		if round == 20 {
			w.problem("claim %s is reconciled over and over", due[0])
			break
		}
		for _, name := range due {
			w.reconcile(name)
		}
	}
	if w.dead {
		w.start()
	}
}

func (w *world) sweep() {
	if time.Now().Before(w.nextGC) {
		return
	}
	w.nextGC = time.Now().Add(30 * time.Second)
	if err := w.orphans.Sweep(w.ctx); err != nil && !errors.Is(err, errCrash) {
		w.record("sweep: " + err.Error())
	}
}

func (w *world) dueClaims() []string {
	var due []string
	for name, at := range w.due {
		if !w.dead && !at.After(time.Now()) {
			due = append(due, name)
		}
	}
	slices.Sort(due)
	return due
}

func (w *world) reconcile(name string) {
	delete(w.due, name)
	result, err := w.r.Reconcile(w.ctx, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	switch {
	case err != nil:
		if !errors.Is(err, errCrash) {
			w.record("error: " + err.Error())
		}
		w.due[name] = time.Now().Add(time.Second)
	case result.RequeueAfter > 0:
		w.due[name] = time.Now().Add(result.RequeueAfter)
	}
	w.enqueueChanges()
}

// enqueueChanges is the controller's watch: of claims, and of nodes by their provider ID or label.
func (w *world) enqueueChanges() {
	reader := client.Reader(w.admin)
	if w.lag != nil {
		reader = w.lag
	}
	var claims v1alpha1.NodeClaimList
	var nodes corev1.NodeList
	w.must(reader.List(w.ctx, &claims))
	w.must(reader.List(w.ctx, &nodes))
	present := map[string]bool{}
	for i := range claims.Items {
		c := &claims.Items[i]
		if w.seen["claim/"+c.Name] != c.ResourceVersion {
			w.seen["claim/"+c.Name] = c.ResourceVersion
			w.due[c.Name] = time.Now()
		}
	}
	for i := range nodes.Items {
		n := &nodes.Items[i]
		present["node/"+n.Name] = true
		if w.seen["node/"+n.Name] != n.ResourceVersion {
			w.seen["node/"+n.Name] = n.ResourceVersion
			w.dueByNode(claims.Items, n)
		}
	}
	for key := range maps.Clone(w.seen) {
		if strings.HasPrefix(key, "node/") && !present[key] {
			delete(w.seen, key)
			for i := range claims.Items {
				if claims.Items[i].Status.NodeName == strings.TrimPrefix(key, "node/") {
					w.due[claims.Items[i].Name] = time.Now()
				}
			}
		}
	}
}

func (w *world) dueByNode(claims []v1alpha1.NodeClaim, n *corev1.Node) {
	for i := range claims {
		if claims[i].Status.ProviderID == n.Spec.ProviderID || claims[i].Name == n.Labels[v1alpha1.LabelClaim] {
			w.due[claims[i].Name] = time.Now()
		}
	}
}

// takeSnapshot answers what a cache holds that is up to date now.
func (w *world) takeSnapshot() client.Client {
	b := fake.NewClientBuilder().WithScheme(w.admin.Scheme()).WithStatusSubresource(&v1alpha1.NodeClaim{})
	for _, i := range claim.Indexes() {
		b = b.WithIndex(i.Object, i.Field, i.Extract)
	}
	var claims v1alpha1.NodeClaimList
	var nodes corev1.NodeList
	w.must(w.admin.List(w.ctx, &claims))
	w.must(w.admin.List(w.ctx, &nodes))
	return b.WithLists(&claims, &nodes).Build()
}
