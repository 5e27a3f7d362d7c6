package e2e

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/test/witness"
)

// crds are what stays on purpose.
var crds = []string{"ec2nodeclasses.slipway.sh", "nodeclaims.slipway.sh", "provisioners.slipway.sh", "provisioners.karpenter.sh"}

// uninstall: first as nobody should, with nodes that run: work goes on, no namespace is stuck, and what was asked for meanwhile is done once
// Slipway is back. Then as docs/operations.md has it: no machine runs, and of every object of every kind only the CRDs are left; then not even they.
func (s *story) uninstall() {
	s.Provision(nil, "g4dn.xlarge")
	s.Create(s.Deployment("work", 2, 1, nil))
	stays := s.PodsRunning(soon, 2)
	abandoned := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace + "-abandoned", Labels: map[string]string{witness.LabelStory: s.Title}}}
	pod := s.Pod("abandoned", 1)
	pod.Namespace = abandoned.Name
	s.Create(abandoned, pod)
	s.PodsRunning(soon, 3)
	s.Settled(soon, 3)
	s.tooEarly(stays, abandoned, s.nodeOf(pod))
	if err := s.site.helm.Install(s.Context(), s.site.chart(), s.site.values(), true); err != nil {
		s.Fatal(err)
	}
	s.Settled(soon, 2)
	s.undisturbed(stays)
	s.inOrder()
}

// nodeOf reads a pod again and answers the claim of its node.
func (s *story) nodeOf(pod *corev1.Pod) *v1alpha1.NodeClaim {
	s.Helper()
	if err := s.Get(s.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
		s.Fatal(err)
	}
	return s.ClaimOf(pod)
}

// tooEarly takes Slipway away under its nodes. A namespace with a pod on one of them is deleted, and then the node's claim.
func (s *story) tooEarly(stays []*corev1.Pod, abandoned *corev1.Namespace, claim *v1alpha1.NodeClaim) {
	s.Helper()
	if err := s.site.helm.Uninstall(Release); err != nil {
		s.Fatal(err)
	}
	s.Remove(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}})
	s.Remove(abandoned)
	s.gone(Namespace, abandoned.Name)
	s.Remove(claim)
	s.undisturbed(stays)
	if err := s.Get(s.Context(), client.ObjectKeyFromObject(claim), claim); err != nil {
		s.Errorf("a machine runs, and of its claim is known: %v", err)
	}
}

// inOrder is section Uninstall of docs/operations.md.
func (s *story) inOrder() {
	s.Helper()
	s.deleteAll(&karpenterv1alpha5.Provisioner{})
	s.deleteAll(&v1alpha1.Provisioner{})
	s.Eventually(soon, "every claim to go", func() error {
		if n := len(s.Claims("")); n > 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
	s.deleteAll(&v1alpha1.EC2NodeClass{})
	s.Eventually(soon, "every EC2NodeClass to go", func() error {
		var list v1alpha1.EC2NodeClassList
		if err := s.List(s.Context(), &list); err != nil || len(list.Items) > 0 {
			return fmt.Errorf("%d are left, %w", len(list.Items), err)
		}
		return nil
	})
	for _, release := range []string{Release, ReleaseCRDs} {
		if err := s.site.helm.Uninstall(release); err != nil {
			s.Fatal(err)
		}
	}
	s.Remove(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}})
	s.forget()
	journal := s.Happened(s.T)
	if living := witness.Alive(journal.Instances); len(living) > 0 {
		s.Errorf("machines run, and nobody knows of them: %+v", living)
	}
	if len(journal.Kept) > 0 {
		s.Errorf("in the account there are still %q", journal.Kept)
	}
	kept := []string{"APIService.apiregistration.k8s.io /v1alpha1.slipway.sh", "APIService.apiregistration.k8s.io /v1alpha5.karpenter.sh"}
	for _, name := range crds {
		kept = append(kept, "CustomResourceDefinition.apiextensions.k8s.io /"+name)
	}
	s.added(kept...)
	for _, name := range crds {
		crd := &unstructured.Unstructured{}
		crd.SetAPIVersion("apiextensions.k8s.io/v1")
		crd.SetKind("CustomResourceDefinition")
		crd.SetName(name)
		s.Remove(crd)
	}
	s.added()
}

// forget takes away what the stories themselves have made.
func (s *story) forget() {
	s.Helper()
	list, err := s.kube.CoreV1().Namespaces().List(s.Context(), metav1.ListOptions{LabelSelector: witness.LabelStory})
	if err != nil {
		s.Fatal(err)
	}
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			s.Remove(&list.Items[i])
		}
	}
}

// deleteAll is kubectl delete --all --wait=false.
func (s *story) deleteAll(kind client.Object) {
	s.Helper()
	if err := s.DeleteAllOf(s.Context(), kind); err != nil && !apierrors.IsNotFound(err) {
		s.Fatalf("deleting every %T: %v", kind, err)
	}
}
