package judge

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The storage classes of every world.
const (
	classWait   = "wait"   // WaitForFirstConsumer
	classHere   = "here"   // the same, in some zones
	classNow    = "now"    // Immediate
	classStatic = "static" // nobody provisions
)

func (d *draw) storage() {
	if !d.on[volumes] {
		return
	}
	class := func(name, provisioner string, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
		return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner, VolumeBindingMode: &mode}
	}
	here := class(classHere, driverEBS, storagev1.VolumeBindingWaitForFirstConsumer)
	here.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{
		Key: corev1.LabelTopologyZone, Values: some(d, d.zones...)}}}}
	for _, c := range []*storagev1.StorageClass{here, class(classWait, driverEBS, storagev1.VolumeBindingWaitForFirstConsumer),
		class(classNow, driverEBS, storagev1.VolumeBindingImmediate),
		class(classStatic, "kubernetes.io/no-provisioner", storagev1.VolumeBindingWaitForFirstConsumer)} {
		d.add(c, "class")
	}
	driver := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: driverEBS}}
	if d.chance(50) {
		driver.Spec.PreventPodSchedulingIfMissing = new(true)
	}
	d.add(driver, "driver")
	for range d.IntN(3) {
		d.add(newVolume(classStatic, d.where()), "spare")
	}
}

// where is where a volume lives; nil: everywhere.
func (d *draw) where() *corev1.VolumeNodeAffinity {
	if d.chance(15) {
		return nil
	}
	return inZones(some(d, d.zones...)[:1]...)
}

func newVolume(class string, where *corev1.VolumeNodeAffinity) *corev1.PersistentVolume {
	pv := &corev1.PersistentVolume{}
	pv.Spec.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}
	pv.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	pv.Spec.StorageClassName, pv.Spec.NodeAffinity = class, where
	pv.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driverEBS, VolumeHandle: "vol"}
	pv.Status.Phase = corev1.VolumeAvailable
	return pv
}

// volumesOf gives a template a volume: one of its own for each pod, as a StatefulSet does (its claim name is empty until then), or one
// claim for all.
func (d *draw) volumesOf(p *corev1.Pod) {
	for i := range 1 + d.IntN(2) {
		v := corev1.Volume{Name: fmt.Sprintf("v%d", i)}
		switch d.IntN(4) {
		case 0:
			v.Ephemeral = &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: d.claimSpec()}}
		case 1:
			c := d.claim(p.Namespace, d.claimSpec())
			v.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c.Name}
		default:
			v.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{}
		}
		p.Spec.Volumes = append(p.Spec.Volumes, v)
	}
}

func (d *draw) claimSpec() corev1.PersistentVolumeClaimSpec {
	mode := corev1.ReadWriteOnce
	if d.chance(25) {
		mode = corev1.ReadWriteOncePod
	}
	class := pick(d, classWait, classWait, classWait, classHere, classHere, classNow, classStatic)
	return corev1.PersistentVolumeClaimSpec{StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{mode},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")}}}
}

// claim adds a claim: bound already, or waiting for a node.
func (d *draw) claim(namespace string, spec corev1.PersistentVolumeClaimSpec) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}, Spec: spec}
	c.Status.Phase = corev1.ClaimPending
	d.add(c, "pvc")
	if class := *spec.StorageClassName; class == classNow && d.chance(90) || class != classStatic && d.chance(35) {
		pv := newVolume(class, d.where())
		pv.Spec.AccessModes = spec.AccessModes
		d.add(pv, "pv")
		pv.Spec.CSI.VolumeHandle = pv.Name
		bindTo(c, pv)
	}
	return c
}

// claimsOf gives a pod the claims that are its own.
func (d *draw) claimsOf(p *corev1.Pod) {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		switch {
		case v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == "":
			v.PersistentVolumeClaim.ClaimName = d.claim(p.Namespace, d.claimSpec()).Name
		case v.Ephemeral != nil:
			d.ephemeral(p, v)
		}
	}
}

// ephemeral makes the claim that the ephemeral volume controller makes.
func (d *draw) ephemeral(p *corev1.Pod, v *corev1.Volume) {
	c := d.claim(p.Namespace, v.Ephemeral.VolumeClaimTemplate.Spec)
	c.Name = p.Name + "-" + v.Name
	yes := true
	c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID, Controller: &yes}}
	each(&d.world, func(pv *corev1.PersistentVolume) {
		if pv.Spec.ClaimRef != nil && pv.Spec.ClaimRef.UID == c.UID {
			pv.Spec.ClaimRef.Name = c.Name
		}
	})
}
