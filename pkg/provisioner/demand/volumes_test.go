package demand_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

type (
	pvc = corev1.PersistentVolumeClaim
	pv  = corev1.PersistentVolume
	sc  = storagev1.StorageClass
)

const ebs = "ebs.csi.aws.com"

// claimNamed asks for 10 GiB of class.
func claimNamed(name, class string, change ...func(*pvc)) *pvc {
	c := &pvc{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class,
		Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "10Gi")},
	}}
	for _, f := range change {
		f(c)
	}
	return c
}

// boundTo binds a claim to a volume.
func boundTo(volume string) func(*pvc) {
	return func(c *pvc) {
		c.Spec.VolumeName = volume
		c.Annotations = map[string]string{"pv.kubernetes.io/bind-completed": "yes"}
	}
}

// volumeIn is an EBS volume of 20 GiB that is reached from nodes with key=value; an empty key: from everywhere.
func volumeIn(name, class, key, value string, change ...func(*pv)) *pv {
	v := &pv{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
		Capacity: list("storage", "20Gi"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: class,
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: ebs, VolumeHandle: "vol-" + name}},
	}, Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable}}
	if key != "" {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{expressions(is(key, in, value))}}}
	}
	for _, f := range change {
		f(v)
	}
	return v
}

// className makes volumes for the first pod that wants one, in zones; none: everywhere.
func className(name, provisioner string, zones ...string) *sc {
	mode := storagev1.VolumeBindingWaitForFirstConsumer
	c := &sc{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner, VolumeBindingMode: &mode}
	if len(zones) > 0 {
		c.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "topology.ebs.csi.aws.com/zone", Values: zones}}}}
	}
	return c
}

func immediate(c *sc) *sc {
	mode := storagev1.VolumeBindingImmediate
	c.VolumeBindingMode = &mode
	return c
}

// using gives the pod a volume for each claim.
func using(claims ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for _, c := range claims {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "v-" + c, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c}}})
		}
	}
}

// scratch gives the pod an ephemeral volume of a class.
func scratch(class string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{
			Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: claimNamed("", class).Spec}}}})
	}
}

func ownedBy(pod string) func(*pvc) {
	return func(c *pvc) {
		c.OwnerReferences = []metav1.OwnerReference{{UID: types.UID("uid-" + pod), Controller: new(true)}}
	}
}

func anyOf(terms ...corev1.NodeSelectorTerm) corev1.NodeSelector {
	return corev1.NodeSelector{NodeSelectorTerms: terms}
}

func TestVolumes(t *testing.T) {
	const zone = corev1.LabelTopologyZone
	inZone := func(zones ...string) corev1.NodeSelector { return anyOf(expressions(is(zone, in, zones...))) }
	inTree := func(v *pv) {
		v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-1"}}
	}
	labelled := func(value string) func(*pv) {
		return func(v *pv) { v.Labels = map[string]string{corev1.LabelFailureDomainBetaZone: value} }
	}
	now := metav1.NewTime(since)
	tests := map[string]struct {
		pod     func(*corev1.Pod)
		storage demand.Storage
		also    []corev1.NodeSelector
		ebs     int64
		problem []string
	}{
		"none": {pod: func(*corev1.Pod) {}},
		"a volume in a zone": {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3", boundTo("v"))}, Volumes: []*pv{volumeIn("v", "gp3", "topology.ebs.csi.aws.com/zone", "z1")}},
			[]corev1.NodeSelector{inZone("z1")}, 1, nil},
		"two volumes, and one of them twice": {using("a", "b", "a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3", boundTo("v")), claimNamed("b", "gp3", boundTo("w"))},
			Volumes: []*pv{volumeIn("v", "gp3", zone, "z1"), volumeIn("w", "gp3", zone, "z2")}}, []corev1.NodeSelector{inZone("z1"), inZone("z2")}, 2, nil},
		"a volume that is everywhere": {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "efs", boundTo("v"))}, Volumes: []*pv{volumeIn("v", "efs", "", "", func(v *pv) {
			v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{}}
		})}}, nil, 0, nil},
		"an old volume, with labels": {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp2", boundTo("v"))}, Volumes: []*pv{volumeIn("v", "gp2", "", "", inTree, labelled("z1__z2"))}},
			[]corev1.NodeSelector{inZone("z1", "z2")}, 1, nil},
		"to be made anywhere":        {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3")}, Classes: []*sc{className("gp3", ebs)}}, nil, 1, nil},
		"to be made in some zones":   {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3")}, Classes: []*sc{className("gp3", ebs, "z2", "z1")}}, []corev1.NodeSelector{inZone("z1", "z2")}, 1, nil},
		"by the old plugin":          {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp2")}, Classes: []*sc{className("gp2", "kubernetes.io/aws-ebs")}}, nil, 1, nil},
		"of the default class":       {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "", func(c *pvc) { c.Spec.StorageClassName = nil })}, Classes: []*sc{standard(className("gp3", ebs, "z1")), className("gp2", ebs)}}, []corev1.NodeSelector{inZone("z1")}, 1, nil},
		"being made on a node":       {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3", func(c *pvc) { c.Annotations = map[string]string{"volume.kubernetes.io/selected-node": "n1"} })}, Classes: []*sc{className("gp3", ebs)}}, []corev1.NodeSelector{anyOf(fields(is("metadata.name", in, "n1")))}, 1, nil},
		"ready, or to be made":       {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3")}, Classes: []*sc{className("gp3", ebs, "z1")}, Volumes: []*pv{volumeIn("v", "gp3", zone, "z2")}}, []corev1.NodeSelector{anyOf(expressions(is(zone, in, "z1")), expressions(is(zone, in, "z2")))}, 1, nil},
		"ready, never made":          {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "local")}, Classes: []*sc{className("local", "kubernetes.io/no-provisioner")}, Volumes: []*pv{volumeIn("v", "local", "kubernetes.io/hostname", "n1"), volumeIn("w", "local", "kubernetes.io/hostname", "n2")}}, []corev1.NodeSelector{anyOf(expressions(is("kubernetes.io/hostname", in, "n1")), expressions(is("kubernetes.io/hostname", in, "n2")))}, 0, nil},
		"ready, but too small":       {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "local", func(c *pvc) { c.Spec.Resources.Requests["storage"] = resource.MustParse("30Gi") })}, Classes: []*sc{className("local", "kubernetes.io/no-provisioner")}, Volumes: []*pv{volumeIn("v", "local", zone, "z1")}}, nil, 0, []string{"spec.volumes[v-a].persistentVolumeClaim", "none that is available suits"}},
		"ready, but promised":        {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "local")}, Classes: []*sc{className("local", "kubernetes.io/no-provisioner")}, Volumes: []*pv{volumeIn("v", "local", zone, "z1", func(v *pv) { v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "ml", Name: "b"} })}}, nil, 0, []string{"none that is available suits"}},
		"no claim":                   {using("a"), demand.Storage{}, nil, 0, []string{"spec.volumes[v-a].persistentVolumeClaim", "claim a in namespace ml does not exist"}},
		"a claim that goes":          {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3", boundTo("v"), func(c *pvc) { c.DeletionTimestamp = &now })}, Volumes: []*pv{volumeIn("v", "gp3", "", "")}}, nil, 1, []string{"is being deleted"}},
		"a claim that lost":          {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3", boundTo("v"), func(c *pvc) { c.Status.Phase = corev1.ClaimLost })}}, nil, 0, []string{"has lost volume v"}},
		"no volume":                  {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3", boundTo("v"))}}, nil, 0, []string{"volume v of claim a does not exist"}},
		"binding":                    {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3", func(c *pvc) { c.Spec.VolumeName = "v" })}, Volumes: []*pv{volumeIn("v", "gp3", "", "")}}, nil, 1, []string{"is not bound to volume v yet"}},
		"no class":                   {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3")}}, nil, 0, []string{"StorageClass gp3 of claim a does not exist"}},
		"no class and none wanted":   {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "")}, Classes: []*sc{standard(className("gp3", ebs))}}, nil, 0, []string{"has no StorageClass"}},
		"a class that does not wait": {using("a"), demand.Storage{Claims: []*pvc{claimNamed("a", "gp3")}, Classes: []*sc{immediate(className("gp3", ebs))}}, nil, 1, []string{"is not bound yet", "does not wait for the pod"}},
		"ephemeral, not made yet":    {scratch("gp3"), demand.Storage{Classes: []*sc{className("gp3", ebs, "z1")}}, []corev1.NodeSelector{inZone("z1")}, 1, nil},
		"ephemeral, made":            {scratch("gp3"), demand.Storage{Claims: []*pvc{claimNamed("a-scratch", "gp3", boundTo("v"), ownedBy("a"))}, Volumes: []*pv{volumeIn("v", "gp3", zone, "z2")}}, []corev1.NodeSelector{inZone("z2")}, 1, nil},
		"ephemeral, of another pod":  {scratch("gp3"), demand.Storage{Claims: []*pvc{claimNamed("a-scratch", "gp3", ownedBy("b"))}, Classes: []*sc{className("gp3", ebs)}}, nil, 1, []string{"spec.volumes[scratch].ephemeral", "was not made for the pod"}},
		"EBS by its ID": {func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "x", VolumeSource: corev1.VolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{}}}}
		}, demand.Storage{}, nil, 0, []string{"spec.volumes[x].awsElasticBlockStore"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := demand.NewNeighbourhood(demand.Surroundings{Waiting: []*corev1.Pod{gpuPod("a", tc.pod)}, Storage: tc.storage}).Demands()[0]
			if diff := cmp.Diff(tc.also, got.Select.Also); diff != "" {
				t.Errorf("Also (-want +got):\n%s", diff)
			}
			if n := got.Requests[demand.AttachableVolumes(ebs)]; n != tc.ebs {
				t.Errorf("%d EBS volumes, want %d", n, tc.ebs)
			}
			if len(tc.problem) == 0 && got.Unsupported != "" {
				t.Errorf("Unsupported = %q, want none", got.Unsupported)
			}
			for _, want := range tc.problem {
				if !strings.Contains(got.Unsupported, want) {
					t.Errorf("Unsupported = %q, want %q in it", got.Unsupported, want)
				}
			}
		})
	}
}

func standard(c *sc) *sc {
	c.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
	return c
}

// TestVolumesDecideWhere: what Also says is what a Matcher looks at.
func TestVolumesDecideWhere(t *testing.T) {
	s := demand.Storage{Claims: []*pvc{claimNamed("a", "gp3", boundTo("v")), claimNamed("b", "gp3", boundTo("w"))},
		Volumes: []*pv{volumeIn("v", "gp3", corev1.LabelTopologyZone, "z1"), volumeIn("w", "gp3", "rack", "r1")}}
	got := demand.NewNeighbourhood(demand.Surroundings{Waiting: []*corev1.Pod{gpuPod("a", using("a", "b"))}, Storage: s}).Demands()[0]
	for _, tc := range []struct {
		labels labelled
		want   bool
	}{
		{labelled{corev1.LabelTopologyZone: "z1", "rack": "r1"}, true}, {labelled{corev1.LabelTopologyZone: "z2", "rack": "r1"}, false},
		{labelled{corev1.LabelTopologyZone: "z1"}, false}, {nil, false},
	} {
		if got.Select.Matcher().Matches(tc.labels, nil) != tc.want {
			t.Errorf("matches %v: %v", tc.labels, !tc.want)
		}
	}
}

// TestOnePodAlone: of the pods that share a claim for one pod, one that is placed has it, or else the first by name.
func TestOnePodAlone(t *testing.T) {
	alone := func(c *pvc) { c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod} }
	s := demand.Storage{Claims: []*pvc{claimNamed("x", "gp3", alone)}, Classes: []*sc{className("gp3", ebs)}}
	waiting := []*corev1.Pod{gpuPod("c", using("x")), gpuPod("b", using("x")), gpuPod("elsewhere", within("ops"))}
	runs := gpuPod("runs", using("x"), on("n"))
	for name, tc := range map[string]struct {
		around demand.Surroundings
		free   []string
	}{
		"the first":                     {demand.Surroundings{Waiting: waiting}, []string{"b", "elsewhere"}},
		"one that runs has it":          {demand.Surroundings{Waiting: waiting, Placed: []*corev1.Pod{runs}}, []string{"elsewhere"}},
		"one that moves passes it on":   {demand.Surroundings{Moving: []*corev1.Pod{runs}, Placed: []*corev1.Pod{runs}}, []string{"runs"}},
		"one that moves comes by name":  {demand.Surroundings{Waiting: waiting, Moving: []*corev1.Pod{runs}, Placed: []*corev1.Pod{runs}}, []string{"b", "elsewhere"}},
		"another namespace has its own": {demand.Surroundings{Waiting: waiting, Placed: []*corev1.Pod{gpuPod("runs", within("ops"), using("x"), on("n"))}}, []string{"b", "elsewhere"}},
	} {
		tc.around.Storage = s
		var free []string
		for _, d := range demand.NewNeighbourhood(tc.around).Demands() {
			for _, p := range d.Pods {
				if d.Unsupported == "" {
					free = append(free, p.Name)
				} else if !strings.Contains(d.Unsupported, "ReadWriteOncePod") {
					t.Errorf("%s: %s", name, d.Unsupported)
				}
			}
		}
		slices.Sort(free)
		if diff := cmp.Diff(tc.free, free); diff != "" {
			t.Errorf("%s: not held (-want +got):\n%s", name, diff)
		}
	}
}

// A successor's ephemeral volume is made anew, wherever that of its predecessor is.
func TestEphemeralVolumesMove(t *testing.T) {
	pod := gpuPod("a", scratch("gp3"), on("n"))
	got := demand.NewNeighbourhood(demand.Surroundings{Moving: []*corev1.Pod{pod}, Placed: []*corev1.Pod{pod}, Storage: demand.Storage{
		Claims: []*pvc{claimNamed("a-scratch", "gp3", boundTo("v"), ownedBy("a"))}, Volumes: []*pv{volumeIn("v", "gp3", corev1.LabelTopologyZone, "z2")},
		Classes: []*sc{className("gp3", ebs)},
	}}).Demands()
	if len(got) != 1 || got[0].Select.Also != nil || got[0].Unsupported != "" {
		t.Errorf("got %+v", got)
	}
}

func TestAttachable(t *testing.T) {
	limit := int32(5)
	csi := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
		{Name: ebs, Allocatable: &storagev1.VolumeNodeResources{Count: &limit}}, {Name: "other"}}}}
	s := demand.Storage{
		Claims:  []*pvc{claimNamed("a", "gp3", boundTo("v")), claimNamed("b", "gp3", boundTo("w")), claimNamed("new", "gp3"), claimNamed("o", "other")},
		Volumes: []*pv{volumeIn("v", "gp3", "", ""), volumeIn("w", "gp3", "", "")}, Classes: []*sc{className("gp3", ebs), className("other", "other")},
		Nodes: []*storagev1.CSINode{csi},
	}
	placed := []*corev1.Pod{gpuPod("p", on("n1"), using("a", "b")), gpuPod("q", on("n1"), using("a", "lost")), gpuPod("r", on("n1"), scratch("gp3"))}
	n := demand.NewNeighbourhood(demand.Surroundings{Waiting: []*corev1.Pod{gpuPod("x", using("new", "o"))}, Placed: placed, Storage: s})
	want := demand.Resources{demand.AttachableVolumes(ebs): 2, demand.AttachableVolumes("other"): demand.Ceiling}
	if diff := cmp.Diff(want, n.Company("n1", placed).Attachable); diff != "" {
		t.Errorf("n1 (-want +got):\n%s", diff)
	}
	want[demand.AttachableVolumes(ebs)] = demand.Ceiling
	if diff := cmp.Diff(want, n.Company("n2", nil).Attachable); diff != "" {
		t.Errorf("a node that tells no limit (-want +got):\n%s", diff)
	}
	n = demand.NewNeighbourhood(demand.Surroundings{Waiting: []*corev1.Pod{gpuPod("x")}, Placed: placed, Storage: s})
	if diff := cmp.Diff(demand.Company{}, n.Company("n1", placed)); diff != "" {
		t.Errorf("nobody asks for volumes (-want +got):\n%s", diff)
	}
}
