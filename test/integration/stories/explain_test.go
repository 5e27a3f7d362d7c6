package stories_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/explain"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/test/witness"
)

// explained: a pod that waits is told the same in its event, its condition and by `slipway explain`, whose production binary reads with the
// user's own rights; a node says why it is the one it is; and a pod that was held and then got a place without Slipway's help does not say
// for ever that it is held.
func (s *story) explained() {
	s.Provision(witness.Limit("2"), "g4dn.xlarge")
	serving := s.Pod("serving", 1)
	s.Create(serving, s.Pod("serving2", 1))
	running := s.PodsRunning(60*time.Second, 2)
	s.Create(s.Deployment("waits", 1, 1, nil))
	var held *corev1.Pod
	s.Eventually(30*time.Second, "a pod to be told that it is held", func() error {
		for _, p := range s.Pods(s.Title) {
			if c := nodePlanned(p); c != nil && c.Status == corev1.ConditionFalse {
				held = p
				return nil
			}
		}
		return errors.New("none is")
	})
	condition := nodePlanned(held)
	if condition.Reason != string(v1alpha1.HeldLimit) || !strings.Contains(condition.Message, "limits.gpu of Provisioner "+s.Title+" were at least 3") {
		s.Errorf("condition %+v", condition)
	}
	s.Eventually(30*time.Second, "an event with the words of the condition", func() error {
		for _, e := range s.Events(held.UID) {
			if e.Reason == condition.Reason && words(e.Note) == words(condition.Message) {
				return nil
			}
		}
		return fmt.Errorf("the condition says %q", condition.Message)
	})
	s.explainsPod(held, condition)
	s.explainsNode(running[0])
	s.explainRefuses(held)

	// The place of one that ends goes to the pod that waits: kube-scheduler sees to that, not Slipway. (The kubelet may refuse the first that comes,
	// while the place is not free yet; its Deployment makes another.)
	s.Remove(serving)
	s.PodsRunning(60*time.Second, 2)
	s.Eventually(60*time.Second, "the condition to go", func() error {
		if i := slices.IndexFunc(s.Pods(s.Title), func(p *corev1.Pod) bool {
			c := nodePlanned(p)
			return c != nil && c.Status == corev1.ConditionFalse
		}); i >= 0 {
			return errors.New("a pod that runs says that it is held")
		}
		return nil
	})
}

// words are a message without the counts of offerings, which change with what other stories make of the cloud's stock.
func words(message string) string {
	text, _, _ := plan.SplitCounts(message)
	return text
}

func (s *story) explainsPod(held *corev1.Pod, condition *corev1.PodCondition) {
	s.Helper()
	var answer explain.Pod
	s.ask(&answer, s.stage.Cluster.Kubeconfig, "pod", held.Name, "-n", held.Namespace)
	if words(answer.Message) != words(condition.Message) || string(answer.Reason) != condition.Reason || answer.State != explain.Held {
		s.Errorf("explain pod says %s %s %q, the condition %s %q", answer.State, answer.Reason, answer.Message, condition.Reason, condition.Message)
	}
	sum := 0
	for _, n := range answer.Failed {
		sum += n
	}
	if sum == 0 || sum != answer.Offerings {
		s.Errorf("%d offerings, failed on %v", answer.Offerings, answer.Failed)
	}
	text, errText, code := s.slipway("explain", "pod", held.Name, "-n", held.Namespace, "--kubeconfig", s.stage.Cluster.Kubeconfig)
	s.Logf("slipway explain pod:\n%s", text)
	if code != 0 || !strings.Contains(text, "held, "+condition.Reason) || errText != "" {
		s.Errorf("explain pod: exit %d, %q, %q", code, text, errText)
	}
}

func (s *story) explainsNode(p *corev1.Pod) {
	s.Helper()
	claim := s.ClaimOf(p)
	var node explain.Node
	for _, name := range []string{p.Spec.NodeName, claim.Name} {
		node = explain.Node{}
		s.ask(&node, s.stage.Cluster.Kubeconfig, "node", name)
		if node.Claim == nil || node.Claim.Name != claim.Name || node.Name != p.Spec.NodeName || len(node.Considered) == 0 ||
			!slices.ContainsFunc(node.Stays, func(why string) bool { return strings.Contains(why, p.Name) }) {
			s.Errorf("explain node %s: %+v", name, node)
		}
	}
	if i := slices.IndexFunc(node.Limits, func(l explain.LimitUse) bool { return l.Resource == v1alpha1.LimitGPU }); i < 0 || node.Limits[i].Takes != "1" || node.Limits[i].Limit != "2" {
		s.Errorf("limits %+v", node.Limits)
	}
	text, _, code := s.slipway("explain", "node", p.Spec.NodeName, "--kubeconfig", s.stage.Cluster.Kubeconfig)
	s.Logf("slipway explain node:\n%s", text)
	if code != 0 || !strings.Contains(text, "Considered") {
		s.Errorf("explain node: exit %d, %q", code, text)
	}
}

// explainRefuses: what is not there is said so, and what a user may not read is named while the rest is answered.
func (s *story) explainRefuses(held *corev1.Pod) {
	s.Helper()
	for _, what := range [][]string{{"pod", "nobody"}, {"node", "nothing"}} {
		_, errText, code := s.slipway("explain", what[0], what[1], "--kubeconfig", s.stage.Cluster.Kubeconfig)
		if code != 1 || !strings.Contains(errText, "not found") || !strings.Contains(errText, what[1]) {
			s.Errorf("explain %v: exit %d, %q", what, code, errText)
		}
	}
	s.Create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: held.Namespace, Name: s.Title},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: held.Namespace, Name: s.Title},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: s.Title},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "researcher"}}})
	_, kubeconfig, err := s.stage.Cluster.ConfigFor("researcher")
	if err != nil {
		s.Fatal(err)
	}
	file := filepath.Join(s.TempDir(), "researcher.kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		s.Fatal(err)
	}
	var answer explain.Pod
	s.ask(&answer, file, "pod", held.Name, "-n", held.Namespace)
	if answer.State != explain.Held || len(answer.Unknown) != 1 || !strings.Contains(answer.Unknown[0], "nodeclaims.slipway.sh is forbidden") {
		s.Errorf("a user without rights on NodeClaims is told %+v", answer)
	}
}

func nodePlanned(p *corev1.Pod) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == v1alpha1.PodNodePlanned {
			return c
		}
	}
	return nil
}

// ask reads what `slipway explain -o json` answers; the user may be given a right a moment before the API server knows.
func (s *story) ask(answer any, kubeconfig string, args ...string) {
	s.Helper()
	s.Eventually(10*time.Second, "slipway explain "+strings.Join(args, " "), func() error {
		text, errText, code := s.slipway(append([]string{"explain", "-o", "json", "--kubeconfig", kubeconfig}, args...)...)
		if code != 0 {
			return fmt.Errorf("exit %d: %s", code, errText)
		}
		return json.Unmarshal([]byte(text), answer)
	})
}

// slipway runs the production binary.
func (s *story) slipway(args ...string) (text, errText string, code int) {
	s.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(s.Context(), filepath.Join("..", "..", "..", "bin", "slipway"), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
