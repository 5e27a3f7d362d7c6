package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
	"github.com/slipway-sh/slipway/test/stage"
)

//go:embed manifests/work.yaml
var workManifest []byte

//go:embed manifests/priority.yaml
var priorityManifest []byte

// inferenceAfter is the size of the Deployment once the rush is over: below the limit, so that a replacement can be bought at once.
const inferenceAfter = 80

// story is what the demo plays, and what is kept for the report.
type story struct {
	stage *stage.Stage
	watch *watcher
	line  *timeline

	held          []heldPod // when the first rush had settled
	nodesThen     []nodeRow // likewise
	interruptions []interruption
}

func newStory(ctx context.Context, s *stage.Stage, t *timeline) (*story, error) {
	w, err := watch(ctx, s.Cluster.Config)
	if err != nil {
		return nil, err
	}
	return &story{stage: s, watch: w, line: t}, nil
}

// play plays all of it; keep leaves out the end.
func (s *story) play(ctx context.Context, keep bool) error {
	acts := []func(context.Context) error{s.offer, s.rush, s.calm, s.interrupt, s.end}
	if keep {
		acts = acts[:len(acts)-1]
	}
	for _, act := range acts {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// offer applies what a user writes.
func (s *story) offer(ctx context.Context) error {
	s.line.title("what may be launched: an EC2NodeClass and a karpenter.sh/v1alpha5 Provisioner, unchanged")
	root, err := program.Root()
	if err != nil {
		return err
	}
	for _, name := range []string{"ec2nodeclass.yaml", "karpenter-v1alpha5.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, "examples", name))
		if err != nil {
			return fmt.Errorf("reading an example: %w", err)
		}
		s.line.note("applying examples/%s", name)
		if err := cluster.ApplyManifests(ctx, s.stage.Cluster.Config, text); err != nil {
			return err
		}
	}
	if err := cluster.ApplyManifests(ctx, s.stage.Cluster.Config, priorityManifest); err != nil {
		return err
	}
	return s.until(ctx, time.Minute, "the Provisioner to be carried over and ready", func() bool {
		var p v1alpha1.Provisioner
		if err := s.watch.client.Get(ctx, client.ObjectKey{Name: "gpu"}, &p); err != nil {
			return false
		}
		return slices.ContainsFunc(p.Status.Conditions, func(c metav1.Condition) bool {
			return c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionTrue
		})
	})
}

// rush creates more work than the limit allows.
func (s *story) rush(ctx context.Context) error {
	s.line.title("the rush: 100 pods of 1 GPU, a Job with 4 workers, a pod of 8 GPUs, and a pod of 16; at most 100 GPUs may run")
	s.line.header()
	if err := cluster.ApplyManifests(ctx, s.stage.Cluster.Config, workManifest); err != nil {
		return err
	}
	if err := s.untilSteady(ctx, 4*time.Minute, "everything that fits to run", func(c counts) bool {
		return c.pending == 0 && c.running+c.held == 106 && c.ready == c.claims
	}); err != nil {
		return err
	}
	for _, life := range s.watch.lives() {
		if life.boundAt.IsZero() && life.reason != "" && !life.gone {
			s.held = append(s.held, heldPod{Pod: life.name, Reason: life.reason, Message: life.message})
		}
	}
	slices.SortFunc(s.held, func(a, b heldPod) int { return strings.Compare(a.Pod, b.Pod) })
	rows, err := s.nodeRows(ctx)
	if err != nil {
		return err
	}
	s.nodesThen = rows
	s.line.note("settled; held for %s", reasons(s.held))
	return nil
}

func reasons(held []heldPod) string {
	count := map[string]int{}
	for _, h := range held {
		count[h.Reason]++
	}
	var list []string
	for reason, n := range count {
		list = append(list, fmt.Sprintf("%s: %d", reason, n))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// calm lets the training end and the Deployment shrink, until the idle nodes have gone.
func (s *story) calm(ctx context.Context) error {
	s.line.title("the rush is over: training ends, inference goes from 100 to %d pods, idle nodes go after 60 s", inferenceAfter)
	if err := s.scale(ctx, inferenceAfter); err != nil {
		return err
	}
	s.line.header()
	return s.untilSteady(ctx, 5*time.Minute, "idle nodes to go", func(c counts) bool {
		return c.running == inferenceAfter && c.draining == 0 && c.gpus <= inferenceAfter
	})
}

func (s *story) scale(ctx context.Context, replicas int32) error {
	d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "inference"}}
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	if err := s.watch.client.Patch(ctx, &d, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		return fmt.Errorf("scaling the Deployment: %w", err)
	}
	return nil
}

// interrupt takes one machine that serves pods.
func (s *story) interrupt(ctx context.Context) error {
	claims, gone := s.watch.allClaims()
	var victim *v1alpha1.NodeClaim
	for name, c := range claims {
		if !gone[name] && c.Status.NodeName != "" && c.Spec.GPUs == 1 && (victim == nil || name < victim.Name) {
			victim = c
		}
	}
	if victim == nil {
		return errors.New("there is no node to interrupt")
	}
	s.line.title("spot takes a machine: EC2's two-minute notice for %s (%s) goes to the queue", victim.Status.InstanceID, victim.Status.NodeName)
	s.line.header()
	i := interruption{Instance: victim.Status.InstanceID, Node: victim.Status.NodeName, at: time.Now()}
	if err := s.stage.Interrupt(victim.Status.InstanceID); err != nil {
		return err
	}
	if err := s.until(ctx, time.Minute, "the fence and the replacement", func() bool {
		i.fenced = s.watch.fencedAt(i.Node)
		now, _ := s.watch.allClaims()
		for name, c := range now {
			if claims[name] == nil {
				i.Replacement, i.replaced = name, c.CreationTimestamp.Time
			}
		}
		return !i.fenced.IsZero() && i.Replacement != ""
	}); err != nil {
		return err
	}
	i.replaced = time.Now()
	s.line.note("%s is fenced; its replacement %s is on its way", i.Node, i.Replacement)
	if err := s.untilSteady(ctx, 3*time.Minute, "its pods to run again", func(c counts) bool {
		_, gone := s.watch.allClaims()
		return c.running == inferenceAfter && c.pending == 0 && gone[victim.Name]
	}); err != nil {
		return err
	}
	i.seconds()
	s.line.note("its pods run again")
	s.interruptions = append(s.interruptions, i)
	return nil
}

// end takes the work away and waits until nothing is left.
func (s *story) end(ctx context.Context) error {
	s.line.title("the work ends: every node is fenced, looked at again, drained and terminated")
	for _, o := range []client.Object{
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "inference"}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "too-large-16"}},
	} {
		if err := s.watch.client.Delete(ctx, o, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
			return fmt.Errorf("deleting %s: %w", o.GetName(), err)
		}
	}
	s.line.header()
	return s.until(ctx, 5*time.Minute, "every machine to be gone", func() bool {
		s.line.row(s.watch.counts())
		if s.watch.counts().claims > 0 {
			return false
		}
		journal, err := s.stage.Journal()
		return err == nil && !slices.ContainsFunc(journal.Instances, alive)
	})
}

// untilSteady waits until ok has held for two seconds, and prints where things stand meanwhile.
func (s *story) untilSteady(ctx context.Context, most time.Duration, what string, ok func(counts) bool) error {
	var since time.Time
	return s.until(ctx, most, what, func() bool {
		c := s.watch.counts()
		s.line.row(c)
		if !ok(c) {
			since = time.Time{}
			return false
		}
		if since.IsZero() {
			since = time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
}

func (s *story) until(ctx context.Context, most time.Duration, what string, ok func() bool) error {
	deadline := time.Now().Add(most)
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for %s: not within %s (%+v)", what, most, s.watch.counts())
		}
	}
	return nil
}
