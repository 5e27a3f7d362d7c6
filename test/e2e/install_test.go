package e2e

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/stage"
	"github.com/slipway-sh/slipway/test/witness"
)

// patience is how long the controller is watched while there is no AWS: longer than a process takes that ends at once and is started again.
const patience = 5 * time.Second

// identity has the cluster give the controller's pods what EKS gives those with a role.
//
//go:embed manifests/identity.yaml
var identity string

// install: helm install with the cluster's name alone (and where the image is, since no registry has it). Where no AWS can be reached the
// controller runs, is not ready and says what is missing; once the cluster gives its service account a role both replicas are ready.
func (s *story) install() {
	w := s.site
	full := w.values()
	if err := w.helm.Install(s.Context(), w.chart(), map[string]any{"clusterName": full["clusterName"], "image": full["image"]}, false); err != nil {
		s.Fatal(err)
	}
	s.withoutAWS()
	var text strings.Builder
	if err := template.Must(template.New("identity").Parse(identity)).Execute(&text, map[string]string{"Region": stage.Region, "Endpoint": w.Endpoint()}); err != nil {
		s.Fatal(err)
	}
	if err := cluster.ApplyManifests(s.Context(), w.Cluster.Config(), []byte(text.String())); err != nil {
		s.Fatal(err)
	}
	s.Eventually(soon, "both replicas to have a role and to be ready", s.replacedAndReady)
}

// replacedAndReady deletes the pods that were made before the cluster gave them a role, as whoever gives a role later has to.
func (s *story) replacedAndReady() error {
	pods, err := s.kube.CoreV1().Pods(Namespace).List(s.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	without := 0
	for _, p := range pods.Items {
		if slices.ContainsFunc(p.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "AWS_REGION" }) {
			continue
		}
		without++
		if p.DeletionTimestamp == nil {
			if err := s.kube.CoreV1().Pods(Namespace).Delete(s.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
				return err
			}
		}
	}
	d, err := s.kube.AppsV1().Deployments(Namespace).Get(s.Context(), Release, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if without > 0 || d.Status.ReadyReplicas != 2 {
		return fmt.Errorf("%d of %d pods have no role, %d replicas are ready", without, len(pods.Items), d.Status.ReadyReplicas)
	}
	return nil
}

// alone: the release whose only value is the cluster's name works. One of its two replicas leads, and a pod gets one node, which goes again.
// Then the rest of the values come by helm upgrade --wait, where the other stories' settings are.
func (s *story) alone() {
	if _, others := s.leader(); len(others) != 1 {
		s.Errorf("beside the one that leads there are %d replicas, want 1", len(others))
	}
	s.Provision(nil, "g4dn.xlarge")
	pod := s.Pod("first", 1)
	s.Create(pod)
	s.PodsRunning(soon, 1)
	s.Settled(soon, 1)
	s.Remove(pod)
	s.nobodyPays()
	if all := s.Machines(s.T, s.Title); len(all) != 1 {
		s.Errorf("%d machines were bought for one pod", len(all))
	}
	s.settings()
}

// settings gives the release the rest of its values, among them what the cluster gave its pods until now.
func (s *story) settings() {
	for _, kind := range []string{"MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicy"} {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("admissionregistration.k8s.io/v1")
		o.SetKind(kind)
		o.SetName("identity.e2e")
		s.Remove(o)
	}
	if err := s.site.helm.Upgrade(s.Context(), s.site.chart(), s.site.values()); err != nil {
		s.Fatal(err)
	}
}

// withoutAWS waits until both replicas have said that they cannot reach AWS, and sees them live on.
func (s *story) withoutAWS() {
	s.Helper()
	var pods *corev1.PodList
	witness.Eventually(s.T, soon, "both replicas to say that they cannot reach AWS", func() (err error) {
		if pods, err = s.kube.CoreV1().Pods(Namespace).List(s.Context(), metav1.ListOptions{}); err != nil {
			return err
		}
		said := 0
		for i := range pods.Items {
			text, err := s.site.Log(s.Context(), &pods.Items[i])
			if err != nil {
				return err
			}
			if bytes.Contains(text, []byte("AWS cannot be reached")) && bytes.Contains(text, []byte("IAM role")) {
				said++
			}
		}
		if said != 2 {
			return fmt.Errorf("%d of %d have", said, len(pods.Items))
		}
		return nil
	})
	watched := time.NewTimer(patience)
	defer watched.Stop()
	select {
	case <-watched.C:
	case <-s.Context().Done():
	}
	pods, err := s.kube.CoreV1().Pods(Namespace).List(s.Context(), metav1.ListOptions{})
	if err != nil {
		s.Fatal(err)
	}
	for _, p := range pods.Items {
		if c := p.Status.ContainerStatuses[0]; c.State.Running == nil || c.RestartCount > 0 || c.Ready {
			s.Errorf("replica %s: running %t, restarted %d times, ready %t; want one that runs and is not ready", p.Name, c.State.Running != nil, c.RestartCount, c.Ready)
		}
	}
	d, err := s.kube.AppsV1().Deployments(Namespace).Get(s.Context(), Release, metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	if d.Status.ReadyReplicas != 0 {
		s.Errorf("%d replicas are ready, want none", d.Status.ReadyReplicas)
	}
}
