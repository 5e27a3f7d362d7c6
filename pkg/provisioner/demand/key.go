package demand

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// encoding writes a Demand's content such that two contents are equal exactly if their bytes are: every string and list is preceded
// by its length, and maps go in the order of their keys.
type encoding []byte

// keyLength is in hex digits: 64 bits, so that of a million demands two share a key with a chance of 1 to 37 million.
const keyLength = 16

func (e encoding) key() string {
	sum := sha256.Sum256(e)
	return hex.EncodeToString(sum[:])[:keyLength]
}

func (e encoding) demand(d *Demand) encoding {
	e = e.text("slipway/1") // so that keys change visibly if the encoding does
	return e.amountsOf(d.Requests).selection(&d.Select).number(int64(d.Priority)).text(d.Unsupported).neighbours(&d.Neighbours).also(d.Select.Also)
}

// Text is equal for selections that say the same, and for no others.
func (s *Selection) Text() string { return string(encoding(nil).selection(s).also(s.Also)) }

func (e encoding) amountsOf(r Resources) encoding {
	names := r.Names()
	e = e.number(int64(len(names)))
	for _, name := range names {
		e = e.text(string(name)).number(r[name])
	}
	return e
}

// also is empty for a pod whose volumes bind it to no place. It begins as neighbours cannot.
func (e encoding) also(list []corev1.NodeSelector) encoding {
	if len(list) == 0 {
		return e
	}
	e = e.number(-1)
	for i := range list {
		e = e.nodeSelector(&list[i])
	}
	return e
}

func (e encoding) nodeSelector(s *corev1.NodeSelector) encoding {
	e = e.number(int64(len(s.NodeSelectorTerms)))
	for i := range s.NodeSelectorTerms {
		e = e.term(&s.NodeSelectorTerms[i])
	}
	return e
}

// neighbours is empty for a pod that has nothing to do with others, which most have not.
func (e encoding) neighbours(n *Neighbours) encoding {
	if len(n.Chosen)+len(n.Spread)+len(n.Near)+len(n.Apart)+len(n.Preferred)+len(n.Ports) == 0 {
		return e
	}
	e = e.number(int64(len(n.Chosen)))
	for _, key := range n.Chosen {
		e = e.text(string(key))
	}
	e = e.number(int64(len(n.Spread)))
	for _, s := range n.Spread {
		e = e.around(s.Term).number(int64(s.MaxSkew)).number(int64(s.MinDomains)).flag(s.Soft).flag(s.AnyNode).flag(s.HonorTaints)
	}
	for _, terms := range [][]Term{n.Near, n.Apart} {
		e = e.number(int64(len(terms)))
		for _, t := range terms {
			e = e.around(t)
		}
	}
	e = e.number(int64(len(n.Preferred)))
	for _, p := range n.Preferred {
		e = e.around(p.Term).number(int64(p.Weight))
	}
	e = e.number(int64(len(n.Ports)))
	for _, p := range n.Ports {
		e = e.text(p.Protocol).text(p.Address).number(int64(p.Port))
	}
	return e
}

func (e encoding) around(t Term) encoding { return e.text(t.TopologyKey).text(string(t.Selector)) }

func (e encoding) selection(s *Selection) encoding {
	keys := slices.AppendSeq(make([]string, 0, len(s.NodeSelector)), maps.Keys(s.NodeSelector))
	slices.Sort(keys)
	e = e.number(int64(len(keys)))
	for _, k := range keys {
		e = e.text(k).text(s.NodeSelector[k])
	}
	if s.Required == nil {
		e = e.number(-1) // no term at all matches everything, an empty list nothing
	} else {
		e = e.nodeSelector(s.Required)
	}
	e = e.number(int64(len(s.Preferred)))
	for i := range s.Preferred {
		e = e.number(int64(s.Preferred[i].Weight)).term(&s.Preferred[i].Preference)
	}
	e = e.number(int64(len(s.Tolerations)))
	for i := range s.Tolerations {
		t := &s.Tolerations[i]
		e = e.text(t.Key).text(string(t.Operator)).text(t.Value).text(string(t.Effect))
	}
	return e
}

func (e encoding) term(t *corev1.NodeSelectorTerm) encoding {
	for _, list := range [][]corev1.NodeSelectorRequirement{t.MatchExpressions, t.MatchFields} {
		e = e.number(int64(len(list)))
		for i := range list {
			e = e.text(list[i].Key).text(string(list[i].Operator)).number(int64(len(list[i].Values)))
			for _, v := range list[i].Values {
				e = e.text(v)
			}
		}
	}
	return e
}

func (e encoding) number(n int64) encoding { return binary.AppendVarint(e, n) }

func (e encoding) text(s string) encoding { return append(e.number(int64(len(s))), s...) }
