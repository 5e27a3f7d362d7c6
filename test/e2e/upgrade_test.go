package e2e

import (
	"os"
	"path/filepath"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/test/witness"
)

// upgrade: section Upgrade of docs/operations.md. The CRDs go over to a chart of their own, and are upgraded with it; then the release is upgraded and
// rolled back, while pods run and one more comes each time. Every replica is replaced, nothing that runs is touched, and what comes gets one machine.
func (s *story) upgrade() {
	s.Provision(nil, "g4dn.xlarge")
	d := s.Deployment("work", 2, 1, nil)
	s.Create(d)
	s.PodsRunning(soon, 2)
	s.Settled(soon, 2)
	for range 2 { // as at the first upgrade, and at the second
		if err := s.site.helm.UpgradeCRDs(s.Context(), filepath.Join(s.site.root, "charts", "slipway-crds")); err != nil {
			s.Fatal(err)
		}
	}
	for i, change := range []func() error{
		func() error {
			return s.site.helm.Upgrade(s.Context(), s.site.chart(), map[string]any{"podAnnotations": map[string]any{"release": "next"}, "logLevel": "debug"})
		},
		s.site.helm.Rollback,
	} {
		s.livesThrough(d, 3+i, change)
	}
	s.neverRetired()
}

// livesThrough changes the release while pods run and more come, until want run.
func (s *story) livesThrough(d *appsv1.Deployment, want int, change func() error) {
	s.Helper()
	old, ran := s.replicas(), s.Pods(s.Title)
	changed := make(chan error, 1)
	go func() { changed <- change() }()
	s.scale(d, int32(want))
	if err := <-changed; err != nil {
		s.Fatal(err)
	}
	for _, p := range s.replicas() {
		if slices.ContainsFunc(old, func(o *corev1.Pod) bool { return o.UID == p.UID }) {
			s.Errorf("replica %s was not replaced", p.Name)
		}
	}
	s.PodsRunning(soon, want)
	s.Settled(soon, want)
	s.undisturbed(ran)
	if all := s.Machines(s.T, s.Title); len(all) != want {
		s.Errorf("%d machines were bought for %d pods", len(all), want)
	}
}

// previous: the release before is installed with its own chart and image, and has nodes; then it is upgraded to this one.
func (s *story) previous() {
	directory := os.Getenv("E2E_PREVIOUS")
	if directory == "" {
		s.Log("the upgrade from the release before is left out: E2E_PREVIOUS names no directory of it")
		return
	}
	values := s.site.values()
	repository, tag := s.site.Previous()
	values["image"] = map[string]any{"repository": repository, "tag": tag, "pullPolicy": "Never"}
	if err := s.site.helm.Uninstall(Release); err != nil {
		s.Fatal(err)
	}
	if err := s.site.helm.Install(s.Context(), filepath.Join(directory, "charts", "slipway"), values, true); err != nil {
		s.Fatal(err)
	}
	s.Provision(nil, "g4dn.xlarge")
	d := s.Deployment("work", 2, 1, nil)
	s.Create(d)
	s.PodsRunning(soon, 2)
	s.Settled(soon, 2)
	if err := s.site.helm.UpgradeCRDs(s.Context(), filepath.Join(s.site.root, "charts", "slipway-crds")); err != nil {
		s.Fatal(err)
	}
	s.livesThrough(d, 3, func() error {
		return s.site.helm.Upgrade(s.Context(), s.site.chart(), map[string]any{"image": s.site.values()["image"]})
	})
	s.neverRetired()
}

// neverRetired: no node of the story was to go, not even for a moment.
func (s *story) neverRetired() {
	s.Helper()
	for _, versions := range witness.History(s.Record, s.ClaimsSeen) {
		for _, v := range versions {
			if c := v.Object; c.Spec.Provisioner == s.Title && (c.Status.Retire != nil || c.DeletionTimestamp != nil) {
				s.Errorf("claim %s was to go at %s: %+v", c.Name, witness.Clock(v.At), c.Status.Retire)
				break
			}
		}
	}
}
