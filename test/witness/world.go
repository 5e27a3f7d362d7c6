package witness

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/stage"
)

// World is a cluster, its AWS, and everything that was ever seen there.
type World struct {
	client.Client
	*Record
	// Config is the access to the cluster.
	Config *rest.Config
	// AWS is where to ask what was bought, and what to break.
	AWS stage.AWS
	// IgnoresTokens says that this AWS may sell two machines for one token.
	IgnoresTokens bool
	// Logs answers the end of the programs' logs, for a test that has failed; nil: there are none to show.
	Logs func() string

	spared spared // machines that went by somebody else's hand
}

// Watch begins to record what happens in a cluster, until the test's end.
func Watch(t *testing.T, config *rest.Config, aws stage.AWS) (*World, error) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, karpenterv1alpha5.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	w := &World{Record: newRecord(), Config: config, AWS: aws}
	var err error
	if w.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return w, w.Record.watch(t, config, scheme)
}

// Apply applies manifests as kubectl does.
func (w *World) Apply(t *testing.T, manifests ...[]byte) {
	t.Helper()
	if err := cluster.ApplyManifests(t.Context(), w.Config, manifests...); err != nil {
		t.Fatal(err)
	}
}

// Happened answers what fakeaws knows: each call and each machine.
func (w *World) Happened(t *testing.T) wire.Journal {
	t.Helper()
	j, err := w.AWS.Journal()
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// Machines answers every machine that was ever launched for a Provisioner.
func (w *World) Machines(t *testing.T, provisioner string) []wire.Instance {
	t.Helper()
	var list []wire.Instance
	for _, i := range w.Happened(t).Instances {
		if i.Tags[v1alpha1.LabelProvisioner] == provisioner {
			list = append(list, i)
		}
	}
	return list
}

// Alive answers those that are launching or running.
func Alive(list []wire.Instance) []wire.Instance {
	var living []wire.Instance
	for _, i := range list {
		if i.State == string(cloud.InstancePending) || i.State == string(cloud.InstanceRunning) {
			living = append(living, i)
		}
	}
	return living
}

// Machine answers one machine by its ID.
func (w *World) Machine(t *testing.T, id string) wire.Instance {
	t.Helper()
	for _, i := range w.Happened(t).Instances {
		if i.ID == id {
			return i
		}
	}
	t.Fatalf("there never was a machine %s", id)
	return wire.Instance{}
}

// Eventually polls until ok answers nil, and fails the test with its last answer.
func Eventually(t *testing.T, within time.Duration, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, t.Context().Err())
		case <-tick.C:
		}
	}
}

// Clear takes all work out of the namespaces and waits until every machine and every node of Slipway has gone: what is left is a leak.
func (w *World) Clear(t *testing.T, namespaces ...string) {
	t.Helper()
	w.DeleteAll(t, namespaces...)
	Eventually(t, 90*time.Second, "every claim, node and machine to go", func() error {
		claims, living := w.Claims(""), Alive(w.Happened(t).Instances)
		nodes := Present(w.Record, w.NodesSeen, ours)
		if len(claims)+len(nodes)+len(living) > 0 {
			return fmt.Errorf("%d claims, %d nodes and %d machines are left", len(claims), len(nodes), len(living))
		}
		return nil
	})
}

// Tell prints what is there when a test has failed.
func (w *World) Tell(t *testing.T, story string) {
	t.Helper()
	if t.Failed() {
		t.Log(w.Describe(story))
	}
}

// Describe answers what is there of a story, and the end of the logs; of an empty story: of all.
func (w *World) Describe(story string) string {
	text := w.Record.Tell(story)
	if j, err := w.AWS.Journal(); err == nil {
		for _, i := range j.Instances {
			if p := i.Tags[v1alpha1.LabelProvisioner]; story == "" || p == story {
				text += fmt.Sprintf("machine %s %s %s of %s: %s %s, launched %s, shutting down %s, terminated %s, token %s\n", i.ID, i.PrivateDNS,
					i.InstanceType, p, i.State, i.StateReason, Clock(i.LaunchedAt), Clock(i.ShuttingDownAt), Clock(i.TerminatedAt), i.Token)
			}
		}
	}
	if w.Logs != nil {
		text += w.Logs()
	}
	return text
}

// Clock writes a time of day.
func Clock(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Format("15:04:05.000")
}

// GPUs answers how many GPUs a pod asks for.
func GPUs(pod *corev1.Pod) int64 {
	sum := int64(0)
	for _, c := range pod.Spec.Containers {
		q := c.Resources.Limits[v1alpha1.ResourceGPU]
		sum += q.Value()
	}
	return sum
}

// Spare has Always forgive the end of a machine: it was not Slipway's doing.
func (w *World) Spare(id string) { w.spared.add(id) }
