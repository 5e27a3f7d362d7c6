package stories_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/simulate"
	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/stage"
	"github.com/slipway-sh/slipway/test/witness"
)

// planner is the user who may do what examples/simulate-reader.yaml allows.
const planner = "planner"

// priceIsText: the number behind it is not for others.
var priceIsText = cmpopts.IgnoreUnexported(simulate.NodeGroup{})

// TestSimulateCluster: `slipway simulate --cluster`, run by a user who may only list what the docs say, tells beforehand what the
// controller then does: to pods that wait, with a node that has room, a volume that is bound to a zone and a limit that binds. The same
// objects as manifests give the same answer, and of every right that is taken away it says which one lacks.
func TestSimulateCluster(t *testing.T) {
	t.Parallel()
	views := t.TempDir()
	w := open(t, stage.Options{Controller: []string{"--record-views", views}})
	s := begin(t, w, "what-if")
	s.Provision(func(spec *v1alpha1.ProvisionerSpec) {
		witness.Limit("13")(spec)
		spec.Requirements[1].Values = []string{"on-demand"} // whose prices both know
	}, "g4dn.xlarge", "g4dn.2xlarge", "g4dn.12xlarge", "g5.12xlarge")
	large := s.Pod("large", 1)
	large.Spec.NodeSelector[corev1.LabelInstanceTypeStable] = "g4dn.12xlarge"
	s.Create(large)
	s.PodsRunning(60*time.Second, 1)
	s.Settled(30*time.Second, 1)

	// From here on nobody acts, so that what waits is the same for all who look.
	s.stage.Controllers()[0].Kill()
	if err := s.stage.Cluster.Kill(cluster.Scheduler); err != nil {
		t.Fatal(err)
	}
	s.waiting()
	kubeconfig := s.reader()
	told := s.simulates(kubeconfig, "--cluster")
	s.checkTold(told)
	if diff := cmp.Diff(comparable(told), comparable(s.simulates("", "-f", s.dump())), priceIsText); diff != "" {
		t.Errorf("the same objects as manifests (-cluster +files):\n%s", diff)
	}
	s.laidOver(kubeconfig, told)
	s.lacksRights(kubeconfig)

	if _, err := s.stage.StartController(); err != nil {
		t.Fatal(err)
	}
	done := s.decided(views)
	if diff := cmp.Diff(decisionOf(told), decisionOf(done)); diff != "" {
		t.Errorf("what the controller did (-simulated +done):\n%s", diff)
	}
	s.Eventually(30*time.Second, "the claims that were simulated", func() error {
		if n := len(s.Claims(s.Title)); n != 1+told.Summary.Nodes {
			return fmt.Errorf("%d claims, want 1 and %d", n, told.Summary.Nodes)
		}
		return nil
	})
	// The scheduler comes back only when it finds every pod's nomination: of nodes that become ready under its eyes it may fill one with
	// the pods that the limit holds, which are of the same priority.
	s.Settled(30*time.Second, 1+told.Summary.Nodes)
	s.Eventually(30*time.Second, "the nominations", s.nominated(told.Summary.OnNewNodes))
	if err := s.stage.Cluster.Restart(t.Context(), cluster.Scheduler); err != nil {
		t.Fatal(err)
	}
	s.PodsRunning(90*time.Second, 1+told.Summary.OnNewNodes+told.Summary.OnExisting)
	w.Clear(t)
	w.Always(t)
}

// nominated answers whether so many pods or more are expected by nodes.
func (s *story) nominated(count int) func() error {
	return func() error {
		got := 0
		for _, p := range s.Pods(s.Title) {
			if p.Status.NominatedNodeName != "" {
				got++
			}
		}
		if got < count {
			return fmt.Errorf("%d of %d", got, count)
		}
		return nil
	}
}

// waiting creates pods that wait, and says of them what their scheduler would: three fit on the node that is there, one must be in
// the zone of its volume, and the limit is too low for one.
func (s *story) waiting() {
	s.Helper()
	var pods []client.Object
	for i := range 5 {
		pods = append(pods, s.Pod(fmt.Sprintf("one-%d", i), 1))
	}
	for i := range 2 {
		pods = append(pods, s.Pod(fmt.Sprintf("four-%d", i), 4))
	}
	pods = append(pods, s.zonal())
	s.Create(pods...)
	for _, o := range pods {
		p := o.(*corev1.Pod)
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			LastTransitionTime: metav1.Now(), Message: "no node suits"}}
		if err := s.Status().Update(s.Context(), p); err != nil {
			s.Fatal(err)
		}
	}
}

// zonal answers a pod whose volume is in one zone, with that volume.
func (s *story) zonal() *corev1.Pod {
	s.Helper()
	class, size := "", corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: s.Title},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, VolumeName: s.Title, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: size}}}
	s.Create(claim, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: s.Title}, Spec: corev1.PersistentVolumeSpec{
		Capacity: size, AccessModes: claim.Spec.AccessModes, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		ClaimRef:               &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "ebs.csi.aws.com", VolumeHandle: "vol-1"}},
		NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"us-east-1b"}}}}}}},
	}})
	s.Eventually(30*time.Second, "the volume to be bound", func() error {
		if err := s.Get(s.Context(), client.ObjectKeyFromObject(claim), claim); err != nil || claim.Status.Phase != corev1.ClaimBound {
			return fmt.Errorf("it is %s (%v)", claim.Status.Phase, err)
		}
		return nil
	})
	p := s.Pod("zonal", 1)
	p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name}}}}
	return p
}

// reader answers the kubeconfig of a user with exactly the rights that the docs name.
func (s *story) reader() string {
	s.Helper()
	s.Apply(s.T, example(s.T, "simulate-reader.yaml"))
	s.Create(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: planner},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "slipway-simulate"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: planner}}})
	_, text, err := s.stage.Cluster.ConfigFor(planner)
	if err != nil {
		s.Fatal(err)
	}
	file := filepath.Join(s.TempDir(), "planner.kubeconfig")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		s.Fatal(err)
	}
	return file
}

// simulates answers what slipway simulate says; a right may be given a moment before the API server knows.
func (s *story) simulates(kubeconfig string, args ...string) simulate.Result {
	s.Helper()
	var result simulate.Result
	s.Eventually(15*time.Second, "slipway simulate "+strings.Join(args, " "), func() error {
		text, errText, code := s.slipway(append([]string{"simulate", "-o", "json", "--kubeconfig", kubeconfig}, args...)...)
		if code != 0 && code != 2 || errText != "" {
			return fmt.Errorf("exit %d: %s", code, errText)
		}
		result = simulate.Result{}
		return errors.Join(json.Unmarshal([]byte(text), &result), exitCode(code, &result))
	})
	return result
}

func exitCode(code int, r *simulate.Result) error {
	if (code == 2) != (r.Summary.Held > 0) {
		return fmt.Errorf("exit %d with %d pods held", code, r.Summary.Held)
	}
	return nil
}

// checkTold: 1 GPU runs and 12 are left; the node that is there takes three pods of one, a g4dn.12xlarge one of four each, and what
// remains of the limit, 1 GPU, is bought where the volume is.
func (s *story) checkTold(told simulate.Result) {
	s.Helper()
	got := told.Summary
	if got.Pods != 8 || got.Held == 0 || got.OnExisting != 3 || got.OnNewNodes+got.OnExisting+got.Held != 8 || got.GPUs > 9 || got.LowerBoundPerHour == "" {
		s.Errorf("of a cluster with a node of 3 free GPUs and a limit of 13 GPUs, 4 of them taken, it is told %+v", got)
	}
	if len(told.Existing) != 1 || told.Existing[0].InstanceType != "g4dn.12xlarge" || told.Existing[0].OnItsWay {
		s.Errorf("nodes that take pods: %+v", told.Existing)
	}
	if !slices.ContainsFunc(told.Held, func(h simulate.HeldPods) bool {
		return h.Reason == v1alpha1.HeldLimit && strings.Contains(h.Message, "limits.gpu of Provisioner "+s.Title)
	}) {
		s.Errorf("held %+v", told.Held)
	}
	for _, n := range told.Nodes {
		if strings.Contains(fmt.Sprint(n.Pods), "zonal") && n.Zone != "us-east-1b" {
			s.Errorf("the pod whose volume is in us-east-1b would get a node in %s", n.Zone)
		}
	}
}

// comparable leaves out of a Result what may differ between two about the same cluster, seen a second apart.
func comparable(r simulate.Result) simulate.Result {
	r.Assumptions, r.NotConsidered = nil, nil
	r.Summary.ExpectedPerHour, r.Summary.LowerBoundPerHour, r.Summary.GapPercent = "", "", nil
	return r
}

// decision is what a Result decides, without the names of pods: a recorded View does not tell which workload a pod belongs to.
type decision struct {
	Summary               simulate.Summary
	Nodes, Existing, Held map[string]int
}

func decisionOf(r simulate.Result) decision {
	// What starting a machine and finding it idle costs depends on how often pods came, which changes from one second to the next.
	r.Summary.ExpectedPerHour, r.Summary.LowerBoundPerHour, r.Summary.GapPercent = "", "", nil
	d := decision{r.Summary, map[string]int{}, map[string]int{}, map[string]int{}}
	gpus := func(all []simulate.Content) string {
		var list []int64
		for _, c := range all {
			list = slices.AppendSeq(list, slices.Values(slices.Repeat([]int64{c.GPUs}, c.Pods)))
		}
		return fmt.Sprint(list)
	}
	for _, n := range r.Nodes {
		d.Nodes[fmt.Sprint(n.Provisioner, n.InstanceType, n.Zone, n.Market, n.PricePerHour, gpus(n.Pods), n.CPUMilli, n.MemoryMiB, n.Why)] += n.Copies
	}
	for _, e := range r.Existing {
		d.Existing[fmt.Sprint(e.Name, e.OnItsWay, gpus(e.Pods))]++
	}
	for _, h := range r.Held {
		d.Held[fmt.Sprint(h.GPUs, h.Reason, h.Message, h.Misses)] += h.Pods
	}
	return d
}

// dump writes every object of the cluster that the docs name into a file, as kubectl get -o yaml does.
func (s *story) dump() string {
	s.Helper()
	var text bytes.Buffer
	for _, list := range []client.ObjectList{&corev1.PodList{}, &corev1.NodeList{}, &corev1.NamespaceList{}, &corev1.PersistentVolumeList{},
		&corev1.PersistentVolumeClaimList{}, &v1alpha1.ProvisionerList{}, &v1alpha1.EC2NodeClassList{}, &v1alpha1.NodeClaimList{}} {
		if err := s.List(s.Context(), list); err != nil {
			s.Fatal(err)
		}
		gvk, err := apiutil.GVKForObject(list, s.Scheme())
		if err != nil {
			s.Fatal(err)
		}
		list.GetObjectKind().SetGroupVersionKind(gvk)
		items, err := meta.ExtractList(list)
		if err != nil {
			s.Fatal(err)
		}
		for _, item := range items {
			kind := gvk.GroupVersion().WithKind(strings.TrimSuffix(gvk.Kind, "List"))
			item.GetObjectKind().SetGroupVersionKind(kind)
			document, err := yaml.Marshal(item)
			if err != nil {
				s.Fatal(err)
			}
			fmt.Fprintf(&text, "---\n%s", document)
		}
	}
	file := filepath.Join(s.TempDir(), "dump.yaml")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		s.Fatal(err)
	}
	return file
}

// laidOver: a manifest over the live cluster adds its pods, with the priority that a class of the cluster gives them.
func (s *story) laidOver(kubeconfig string, told simulate.Result) {
	s.Helper()
	never := corev1.PreemptNever
	s.Create(&schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: s.Title}, Value: 1000, PreemptionPolicy: &never})
	file := filepath.Join(s.TempDir(), "more.yaml")
	urgent := s.Pod("urgent", 1)
	urgent.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	urgent.Spec.PriorityClassName = s.Title
	text, err := yaml.Marshal(urgent)
	if err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		s.Fatal(err)
	}
	more := s.simulates(kubeconfig, "--cluster", "-f", file)
	if more.Summary.Pods != told.Summary.Pods+1 {
		s.Errorf("with one pod more there are %d, before %d", more.Summary.Pods, told.Summary.Pods)
	}
	for _, h := range more.Held {
		if strings.Contains(h.Workload, "urgent") {
			s.Errorf("a pod of high priority is held while others are not: %+v", h)
		}
	}
}

// lacksRights takes one right away at a time: each is needed, and named when it lacks.
func (s *story) lacksRights(kubeconfig string) {
	s.Helper()
	var role rbacv1.ClusterRole
	if err := s.Get(s.Context(), client.ObjectKey{Name: "slipway-simulate"}, &role); err != nil {
		s.Fatal(err)
	}
	rules := role.Rules
	for i, rule := range rules {
		for j, lost := range rule.Resources {
			if rule.APIGroups[0] == "scheduling.k8s.io" || rule.APIGroups[0] == "node.k8s.io" {
				continue // asked for with -f only
			}
			role.Rules = slices.Clone(rules)
			role.Rules[i].Resources = slices.Delete(slices.Clone(rule.Resources), j, j+1)
			if len(role.Rules[i].Resources) == 0 {
				role.Rules = slices.Delete(role.Rules, i, i+1)
			}
			s.replaceRole(&role)
			s.Eventually(15*time.Second, "to be refused without "+lost, func() error {
				_, errText, code := s.slipway(append([]string{"simulate", "--cluster", "--kubeconfig", kubeconfig}, systemSpread...)...) // which asks for all of them
				if code != 1 || !strings.Contains(errText, "needs the verb list") || !strings.Contains(errText, `"`+lost+`"`) {
					return fmt.Errorf("exit %d: %s", code, errText)
				}
				return nil
			})
		}
	}
	role.Rules = rules
	s.replaceRole(&role)
}

func (s *story) replaceRole(role *rbacv1.ClusterRole) {
	s.Helper()
	if err := s.Update(s.Context(), role); err != nil {
		s.Fatal(err)
	}
}

// decided waits for the first View with something to buy that the new controller records, and answers what was decided.
func (s *story) decided(dir string) simulate.Result {
	s.Helper()
	begin := time.Now()
	var result simulate.Result
	s.Eventually(60*time.Second, "the controller's decision", func() error {
		paths, err := filepath.Glob(filepath.Join(dir, "view-*.json.gz"))
		if err != nil {
			return err
		}
		for _, path := range slices.Sorted(slices.Values(paths)) {
			info, err := os.Stat(path)
			if err != nil || info.ModTime().Before(begin.Add(-10*time.Second)) {
				continue
			}
			text, errText, code := s.slipway("simulate", "-o", "json", "--view", path)
			if code != 0 && code != 2 {
				return fmt.Errorf("exit %d: %s", code, errText)
			}
			result = simulate.Result{}
			if err := json.Unmarshal([]byte(text), &result); err != nil {
				return err
			}
			if result.Summary.Nodes > 0 && result.Summary.Pods > 1 {
				return nil
			}
		}
		return errors.New("none is recorded")
	})
	return result
}
