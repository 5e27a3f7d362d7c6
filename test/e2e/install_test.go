package e2e

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// install: helm install --wait.
func (s *story) install() {
	w := s.site
	if err := w.helm.Install(s.Context(), w.chart(), w.values(), true); err != nil {
		s.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(w.Cluster.Config())
	if err != nil {
		s.Fatal(err)
	}
	d, err := client.AppsV1().Deployments(Namespace).Get(s.Context(), Release, metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	if d.Status.ReadyReplicas != 2 {
		s.Errorf("%d replicas are ready, want 2", d.Status.ReadyReplicas)
	}
}
