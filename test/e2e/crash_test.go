package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/test/witness"
)

// replicas answers the pods of the release that run.
func (s *story) replicas() []*corev1.Pod {
	s.Helper()
	var list corev1.PodList
	if err := s.List(s.Context(), &list, client.InNamespace(Namespace), client.MatchingLabels{"app.kubernetes.io/name": "slipway"}); err != nil {
		s.Fatal(err)
	}
	var running []*corev1.Pod
	for i := range list.Items {
		if p := &list.Items[i]; p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
			running = append(running, p)
		}
	}
	return running
}

var leads = regexp.MustCompile(`(?m)^leader_election_master_status\{[^}]*\} 1$`)

// leader waits for the replica that leads, and answers it and the others. It leads by its own words, not by the lease's, which still
// names one that has been killed.
func (s *story) leader() (leader *corev1.Pod, others []*corev1.Pod) {
	s.Helper()
	s.Eventually(soon, "one replica to lead", func() error {
		leader, others = nil, nil
		var errs []error
		for _, p := range s.replicas() {
			text, err := s.site.Scrape(s.Context(), p, 8080, "/metrics")
			switch {
			case err != nil:
				errs = append(errs, err)
			case leads.Match(text):
				leader = p
				continue
			}
			others = append(others, p)
		}
		if leader == nil {
			return errors.Join(append(errs, fmt.Errorf("none of %d does", len(others)))...)
		}
		return nil
	})
	return leader, others
}

// crashes: the leader dies in the middle of buying machines, as kill -9 has it; then the one that took over is removed by force; then both die
// at the same moment. Each time exactly the machines are bought that are needed, every pod runs, and no pod that ran is disturbed.
func (s *story) crashes() {
	s.Provision(func(spec *v1alpha1.ProvisionerSpec) {
		witness.Limit("100")(spec)
		spec.Disruption.IdleAfter = "30s"
	}, "g4dn.xlarge")
	d := s.Deployment("work", 0, 1, nil)
	s.Create(d)
	want := int32(0)
	for round, strike := range []func(leader *corev1.Pod, others []*corev1.Pod) error{
		func(leader *corev1.Pod, _ []*corev1.Pod) error { return s.site.Kill(s.Context(), leader) },
		func(leader *corev1.Pod, _ []*corev1.Pod) error {
			return s.World.Delete(s.Context(), leader, &client.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))})
		},
		func(leader *corev1.Pod, others []*corev1.Pod) error {
			return s.site.Kill(s.Context(), append(others, leader)...)
		},
	} {
		const more, tries = 4, 5
		hit := false
		for try := 0; !hit && try < tries; try++ {
			want += more
			hit = s.struck(d, want, strike)
		}
		if !hit {
			s.Errorf("round %d: %d times all machines were bought before the strike: too late for what is tried", round+1, tries)
		}
	}
}

// struck scales to want pods, strikes when the first of the new machines is bought, and answers whether some were not bought yet. Whatever was,
// want machines are bought altogether.
func (s *story) struck(d *appsv1.Deployment, want int32, strike func(leader *corev1.Pod, others []*corev1.Pod) error) (hit bool) {
	s.Helper()
	leader, others := s.leader()
	ran, before := s.Pods(s.Title), len(s.Machines(s.T, s.Title))
	s.scale(d, want)
	s.Eventually(soon, "the launches to be under way", func() error {
		if n := len(s.Machines(s.T, s.Title)); n <= before {
			return fmt.Errorf("%d machines", n)
		}
		return nil
	})
	if err := strike(leader, others); err != nil {
		s.Fatal(err)
	}
	hit = len(s.Machines(s.T, s.Title)) < int(want)
	s.PodsRunning(soon, int(want))
	s.Settled(soon, int(want))
	if all := s.Machines(s.T, s.Title); len(all) != int(want) {
		s.Errorf("%d machines were bought for %d pods", len(all), want)
	}
	s.undisturbed(ran)
	return hit
}

// undisturbed: these pods still run where they did.
func (s *story) undisturbed(before []*corev1.Pod) {
	s.Helper()
	var lost []string
	now := map[string]string{}
	for _, p := range s.Pods(s.Title) {
		if p.DeletionTimestamp == nil {
			now[string(p.UID)] = p.Spec.NodeName
		}
	}
	for _, p := range before {
		if now[string(p.UID)] != p.Spec.NodeName {
			lost = append(lost, p.Name)
		}
	}
	if len(lost) > 0 {
		s.Errorf("pods %s do not run where they did", strings.Join(lost, ", "))
	}
}
