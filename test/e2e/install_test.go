package e2e

import (
	"bytes"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/test/witness"
)

// patience is how long the controller is watched while there is no AWS: longer than a process takes that ends at once and is started again.
const patience = 5 * time.Second

// install: helm install with the cluster's name alone. Where no AWS can be reached the controller runs, is not ready and says what is missing;
// given credentials by helm upgrade --wait it is ready, and one replica leads.
func (s *story) install() {
	w := s.site
	full := w.values()
	if err := w.helm.Install(s.Context(), w.chart(), map[string]any{"clusterName": full["clusterName"], "image": full["image"]}, false); err != nil {
		s.Fatal(err)
	}
	s.withoutAWS()
	if err := w.helm.Upgrade(s.Context(), w.chart(), full); err != nil {
		s.Fatal(err)
	}
	d, err := s.kube.AppsV1().Deployments(Namespace).Get(s.Context(), Release, metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	if d.Status.ReadyReplicas != 2 {
		s.Errorf("%d replicas are ready, want 2", d.Status.ReadyReplicas)
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
