package plan

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// teller reads a story. What is indented belongs to the line above it. Times are of the first of November 2026, which is noon.
//
//	provisioner NAME [weight=N] [zones=a,b] [archs=amd64] [idle=60s] [expire=Never]
//	    limit RESOURCE=QUANTITY...     require KEY OPERATOR VALUE...     label KEY=VALUE...
//	    taint KEY=VALUE:EFFECT...      startup KEY=VALUE:EFFECT...       notready MESSAGE
//	offering GLOB [closed=REASON] [until=15:04:05] [stock=N] [risk=N]      type/zone/market; on us-east-1a GLOB is g4dn.*/a/spot
//	daemon NAME [RESOURCE=QUANTITY]...       with select, require, tolerate
//	claim NAME type=T zone=a [market=M] [provisioner=P] [gpus=N] [price=N] [pods=a,b] [state=launching|opened|ready|leaving|REASON] [since=TIME]
//	node NAME claim=C | type=T zone=a [market=M]   [RESOURCE=QUANTITY of what is free]... [pods=N] [bound=GPUS] [quiet=TIME] [idle=TIME] [age=TIME]
//	    closed      fenced      donotdisrupt      label      taint      holds SELECTOR=N...      repels KEY SELECTOR      port N...
//	orphan ID provisioner=P type=T zone=a [market=M]
//	demand NAME xCOUNT [RESOURCE=QUANTITY]... [since=TIME] [priority=N]
//	    select KEY=VALUE...   require KEY OPERATOR VALUE...   prefer KEY OPERATOR VALUE...   tolerate KEY=VALUE:EFFECT...
//	    moving                unsupported MESSAGE      nominated POD=NODE...
//	arrival NAME perhour=PODS [RESOURCE=QUANTITY]...       with select, require, tolerate
//	refused POD node=N until=TIME      says MESSAGE
//	learned PROVISIONER TYPE RESOURCE=QUANTITY...
//
// Pods are named after their demand: infer-000.
type teller struct {
	v      View
	indent func(verb string, words []string) error // reads what is below the last line
}

func parseStory(text string) (View, error) {
	facts := catalogue.Embedded()
	s := &teller{v: View{Now: noon, Region: "us-east-1", Types: facts.Types}}
	for _, o := range facts.Offerings(s.v.Region) {
		s.v.Offerings = append(s.v.Offerings, Offering{Offering: o, Stock: -1})
	}
	for n, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		tell := s.line
		if line[0] == ' ' {
			tell = s.indent
		}
		if tell == nil {
			return View{}, fmt.Errorf("line %d: nothing is above it", n+1)
		}
		if err := tell(words[0], words[1:]); err != nil {
			return View{}, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return s.v, nil
}

func (s *teller) line(verb string, w []string) error {
	if len(w) == 0 {
		return errors.New("a name is missing")
	}
	o, err := readOptions(w[1:])
	if err != nil {
		return err
	}
	switch verb {
	case "provisioner":
		s.provisioner(w[0], o)
	case "offering":
		s.offering(w[0], o)
	case "daemon":
		s.v.Daemons = append(s.v.Daemons, demand.Daemon{Namespace: "kube-system", Name: w[0], Requests: o.resources()})
		d := &s.v.Daemons[len(s.v.Daemons)-1]
		s.indent = func(verb string, w []string) error {
			var n demand.Neighbours
			if !neighbourly(&n, verb, w) {
				return selecting(&d.Select)(verb, w)
			}
			d.Chosen, d.Apart, d.Ports = append(d.Chosen, n.Chosen...), append(d.Apart, n.Apart...), append(d.Ports, n.Ports...)
			return nil
		}
	case "claim":
		s.claim(w[0], o)
	case "node":
		return s.node(w[0], o)
	case "orphan":
		s.v.Orphans = append(s.v.Orphans, cloud.Instance{ID: w[0], Provisioner: o.text("provisioner"), OfferingKey: o.key()})
	case "demand":
		s.demand(w[0], o)
	case "arrival":
		rate := resource.MustParse(o.text("perhour"))
		s.v.Arrivals = append(s.v.Arrivals, Arrival{Key: w[0], PerHourMilli: rate.MilliValue(), Requests: o.resources()})
		at := &s.v.Arrivals[len(s.v.Arrivals)-1]
		at.Requests[corev1.ResourcePods] = 1
		s.indent = selecting(&at.Select)
	case "refused":
		s.refused(types.UID(w[0]), o)
	case "learned":
		if o, err = readOptions(w[2:]); err != nil {
			return err
		}
		s.v.Learned = append(s.v.Learned, Learned{Provisioner: w[0], InstanceType: w[1], Free: o.resources()})
	default:
		return fmt.Errorf("unknown word %q", verb)
	}
	return o.rest()
}

func (s *teller) refused(pod types.UID, o options) {
	if s.v.Refused == nil {
		s.v.Refused = map[types.UID]Refusal{}
	}
	r := Refusal{Node: o.text("node"), Until: o.at("until", noon)}
	s.v.Refused[pod] = r
	s.indent = func(_ string, words []string) error {
		r.Message = strings.Join(words, " ")
		s.v.Refused[pod] = r
		return nil
	}
}

func (s *teller) provisioner(name string, o options) {
	p := Provisioner{Zones: zones(o.or("zones", "a,b")), Architectures: strings.Split(o.or("archs", "amd64"), ","), Disk: Disk{RootVolumeGiB: 100}}
	p.Object.ObjectMeta = metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)}
	p.Object.Spec = v1alpha1.ProvisionerSpec{
		NodeClassRef: v1alpha1.NodeClassRef{Name: "default"}, Weight: int32(o.number("weight", 0)),
		Disruption: v1alpha1.Disruption{IdleAfter: o.text("idle"), ExpireAfter: o.or("expire", v1alpha1.Never)},
	}
	s.v.Provisioners = append(s.v.Provisioners, p)
	at := &s.v.Provisioners[len(s.v.Provisioners)-1]
	s.indent = func(verb string, w []string) error {
		spec := &at.Object.Spec
		switch verb {
		case "limit":
			o, err := readOptions(w)
			spec.Limits = v1alpha1.Limits{}
			for key, value := range o {
				spec.Limits[corev1.ResourceName(key)] = resource.MustParse(value)
			}
			return err
		case "require":
			spec.Requirements = append(spec.Requirements, requirement(w))
		case "label":
			spec.Template.Labels = pairs(w)
		case "taint":
			spec.Template.Taints = taints(w)
		case "startup":
			spec.Template.StartupTaints = taints(w)
		case "notready":
			at.NotReady, at.NotReadyReason = strings.Join(w, " "), v1alpha1.ReasonNodeClassNotReady
		default:
			return fmt.Errorf("unknown word %q", verb)
		}
		return nil
	}
}

func (s *teller) offering(glob string, o options) {
	parts := strings.Split(glob, "/")
	if len(parts) == 3 && len(parts[1]) == 1 && parts[1] != "*" {
		parts[1] = "us-east-1" + parts[1]
	}
	closed, until := v1alpha1.Reason(o.text("closed")), o.at("until", time.Time{})
	stock, risk := int(o.number("stock", -1)), o.number("risk", 0)
	for i := range s.v.Offerings {
		of := &s.v.Offerings[i]
		if ok, _ := path.Match(strings.Join(parts, "/"), of.OfferingKey.String()); ok {
			of.Closed, of.Until, of.Stock, of.RiskMilli = closed, until, stock, risk
		}
	}
}

func (s *teller) claim(name string, o options) {
	key := o.key()
	state, price := o.or("state", "launching"), o.text("price")
	t := typesByName(s.v.Types)[key.InstanceType]
	micro := priceOf(&s.v, key)
	if price != "" {
		q := resource.MustParse(price)
		micro = q.ScaledValue(resource.Micro)
	}
	c := v1alpha1.NodeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(o.at("since", noon))}}
	c.Spec = v1alpha1.NodeClaimSpec{
		Provisioner: o.or("provisioner", "gpu"), NodeClassRef: v1alpha1.NodeClassRef{Name: "default"}, Market: string(key.Market),
		GPUs: int32(t.GPU.Count), Choices: []v1alpha1.InstanceChoice{{InstanceType: key.InstanceType, Zone: key.Zone, PricePerHour: price}},
		Debit: Usage(t, micro), Taints: taints(strings.Fields(o.text("taint"))),
	}
	for _, z := range strings.FieldsFunc(o.text("also"), func(r rune) bool { return r == ',' }) { // zones that it may come to be in as well
		c.Spec.Choices = append(c.Spec.Choices, v1alpha1.InstanceChoice{InstanceType: key.InstanceType, Zone: "us-east-1" + z, PricePerHour: price})
	}
	for _, pod := range strings.FieldsFunc(o.text("pods"), func(r rune) bool { return r == ',' }) {
		c.Spec.Pods = append(c.Spec.Pods, v1alpha1.PodRef{Namespace: "default", Name: pod, UID: types.UID(pod)})
	}
	out := Claim{Object: c}
	switch state {
	case "launching":
	case "opened":
		out.Object.Status.Conditions = []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: "True", LastTransitionTime: metav1.NewTime(noon.Add(-2 * time.Second))}}
	case "ready":
		out.Object.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: "True"}}
	case "leaving":
		out.Leaving = true
		out.Object.DeletionTimestamp = &metav1.Time{Time: noon}
	default:
		out.Leaving = true
		out.Object.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: "True"}}
		out.Object.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireReason(state)}
	}
	s.v.Claims = append(s.v.Claims, out)
	s.indent = nil
}

func (s *teller) node(name string, o options) error {
	n := Node{Name: name, Claim: o.text("claim"), Open: true, GPUPods: int(o.number("pods", 0)), QuietSince: o.at("quiet", noon),
		IdleSince: o.at("idle", time.Time{}), CreatedAt: o.at("age", noon)}
	key := o.key()
	for _, c := range s.v.Claims {
		if c.Object.Name == n.Claim {
			choice := c.Object.Spec.Choices[0]
			key = cloud.OfferingKey{InstanceType: choice.InstanceType, Zone: choice.Zone, Market: cloud.Market(c.Object.Spec.Market)}
			n.Taints = c.Object.Spec.Taints
			n.Labels = OwnerLabels(c.Object.Spec.Provisioner, "default")
		}
	}
	n.Labels = merged(n.Labels, merged(TypeLabels(typesByName(s.v.Types)[key.InstanceType]), PlaceLabels(key, s.v.Region, "")))
	if gpus := o.number("bound", 0); gpus > 0 {
		n.Bound = demand.Resources{v1alpha1.ResourceGPU: 1000 * gpus}
	}
	n.Free = o.resources()
	s.v.Nodes = append(s.v.Nodes, n)
	at := &s.v.Nodes[len(s.v.Nodes)-1]
	s.indent = func(verb string, w []string) error {
		switch verb {
		case "closed":
			at.Open = false
		case "fenced":
			at.Open, at.Fenced = false, true
			at.Taints = append(at.Taints, corev1.Taint{Key: v1alpha1.TaintRetiring, Effect: corev1.TaintEffectNoSchedule})
		case "donotdisrupt":
			at.DoNotDisrupt = true
		case "label":
			at.Labels = merged(at.Labels, pairs(w))
		case "taint":
			at.Taints = append(at.Taints, taints(w)...)
		default:
			return holding(at, verb, w)
		}
		return nil
	}
	return nil
}

func (s *teller) demand(name string, o options) {
	count := 1
	for key := range o {
		if n, err := strconv.Atoi(strings.TrimPrefix(key, "x")); err == nil {
			count = n
			delete(o, key)
		}
	}
	since := o.at("since", noon)
	d := wish(name, count, 0)
	d.Priority = int32(o.number("priority", 0))
	d.Requests = o.resources()
	d.Requests[corev1.ResourcePods] = 1
	for i := range d.Pods {
		d.Pods[i].Since = since
	}
	s.v.Demands = append(s.v.Demands, d)
	at := &s.v.Demands[len(s.v.Demands)-1]
	choose := selecting(&at.Select)
	s.indent = func(verb string, w []string) error {
		switch verb {
		case "moving":
			for i := range at.Pods {
				at.Pods[i].Moving, at.Pods[i].Since = true, time.Time{}
			}
		case "nominated":
			for pod, node := range pairs(w) {
				i := slices.IndexFunc(at.Pods, func(p demand.Pod) bool { return p.Name == pod })
				if i < 0 {
					return fmt.Errorf("there is no pod %q", pod)
				}
				at.Pods[i].Nominated = node
			}
		case "unsupported":
			at.Unsupported = strings.Join(w, " ")
		default:
			if neighbourly(&at.Neighbours, verb, w) {
				return nil
			}
			return choose(verb, w)
		}
		return nil
	}
}
