package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// maxClaimPrefix keeps a claim's name, and the labels that carry it, within 63 characters: prefix, dash, 10 hex digits.
const maxClaimPrefix = 52

// claimSpec is what equal planned nodes have in common. Nobody changes it: their claims share it.
func (g *growth) claimSpec(choices []int) v1alpha1.NodeClaimSpec {
	first := &g.offers[choices[0]]
	spec := &first.pool.provisioner.Object.Spec
	c := v1alpha1.NodeClaimSpec{
		Provisioner:   first.pool.provisioner.Object.Name,
		NodeClassRef:  spec.NodeClassRef,
		Market:        string(first.source.Market),
		GPUs:          int32(first.kind.GPU.Count),
		Labels:        merged(spec.Template.Labels, first.pool.custom),
		Annotations:   spec.Template.Annotations,
		Taints:        spec.Template.Taints,
		StartupTaints: spec.Template.StartupTaints,
		Kubelet:       spec.Template.Kubelet,
		Choices:       make([]v1alpha1.InstanceChoice, 0, len(choices)),
	}
	debit := corev1.ResourceList{}
	for _, i := range choices {
		o := &g.offers[i]
		c.Choices = append(c.Choices, v1alpha1.InstanceChoice{
			InstanceType: o.kind.Name, Zone: o.source.Zone, PricePerHour: cloud.FormatDollars(o.source.PriceMicroUSDPerHour),
		})
		debit = MaxUsage(debit, Usage(*o.kind, o.source.PriceMicroUSDPerHour))
	}
	c.Debit = debit
	return c
}

// claim makes the NodeClaim of one planned node, whose spec is complete. Its name follows from what it is for, so that a create whose
// reply was lost is recognised when it is repeated.
func (g *growth) claim(spec v1alpha1.NodeClaimSpec, first *offer) v1alpha1.NodeClaim {
	c := v1alpha1.NodeClaim{Spec: spec}
	c.ObjectMeta = metav1.ObjectMeta{
		Name:       g.claimName(&c.Spec),
		Labels:     map[string]string{v1alpha1.LabelProvisioner: c.Spec.Provisioner, v1alpha1.LabelNodeClass: c.Spec.NodeClassRef.Name},
		Finalizers: []string{v1alpha1.FinalizerInstance},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "Provisioner",
			Name: c.Spec.Provisioner, UID: first.pool.provisioner.Object.UID,
		}},
	}
	return c
}

// claimName is the Provisioner's name and a hash of the decision: its instant, the choices and the pods, a line for each.
func (g *growth) claimName(spec *v1alpha1.NodeClaimSpec) string {
	text := strconv.AppendInt(g.text[:0], g.view.Now.UnixNano(), 10)
	text = strconv.AppendInt(append(text, ' '), int64(len(g.decision.Create)), 10)
	text = line(append(text, ' '), spec.Provisioner, spec.Market)
	for i := range spec.Choices {
		text = line(text, spec.Choices[i].InstanceType, spec.Choices[i].Zone)
	}
	for i := range spec.Pods {
		text = line(text, string(spec.Pods[i].UID))
	}
	g.text = text
	sum := sha256.Sum256(text)
	prefix := strings.TrimRight(spec.Provisioner[:min(len(spec.Provisioner), maxClaimPrefix)], "-.")
	return prefix + "-" + hex.EncodeToString(sum[:5])
}

// line appends words, and ends the line.
func line(text []byte, words ...string) []byte {
	for i, w := range words {
		if i > 0 {
			text = append(text, ' ')
		}
		text = append(text, w...)
	}
	return append(text, '\n')
}

func merged(a, b map[string]string) map[string]string {
	if len(a)+len(b) == 0 {
		return nil
	}
	m := make(map[string]string, len(a)+len(b))
	maps.Copy(m, a)
	maps.Copy(m, b)
	return m
}
