package migrate

import (
	"encoding/json"

	kjson "sigs.k8s.io/json"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
)

// oldPoolSource is a v1alpha5 Provisioner.
type oldPoolSource struct {
	opened
	in karpenterv1alpha5.Provisioner
	// inline is what its spec.provider says, if it is imported.
	inline *classSource
}

var oldPaths = paths{
	labels: path{"spec", "labels"}, taints: path{"spec", "taints"}, startupTaints: path{"spec", "startupTaints"},
	requirements: path{"spec", "requirements"}, limits: path{"spec", "limits", "resources"},
}

// pool carries it as carryover does, but for its node class, which is imported as well.
func (s *oldPoolSource) pool(im *importing) {
	if windowsOnly(s.in.Spec.Requirements) {
		s.leave("its nodes run Windows, and Slipway launches Linux only")
		return
	}
	old := s.in.DeepCopy()
	old.Spec.Provider, old.Spec.Consolidation = nil, nil
	switch {
	case old.Spec.ProviderRef != nil:
		old.Spec.ProviderRef.Kind = "EC2NodeClass"
	case s.in.Spec.Provider != nil:
		old.Spec.ProviderRef = &karpenterv1alpha5.ProviderRef{Kind: "EC2NodeClass", Name: s.name}
	}
	native := s.carry(old, oldPaths)
	class := im.classes[native.Spec.NodeClassRef.Name]
	if why := aboutGPUs(native, im.All); why != "" {
		s.leave("%s", why)
		class.sparedBy(s.name)
		return
	}
	if s.in.Spec.Provider != nil && s.in.Spec.ProviderRef == nil {
		class = s.provider(im)
	}
	if on := s.in.Spec.Consolidation; on == nil || on.Enabled == nil || !*on.Enabled {
		s.ledger.say(Entry{Outcome: Carried, Ours: "spec.disruption.idleAfter"}, path{"spec", "consolidation", "enabled"})
	}
	if s.in.Spec.TTLSecondsAfterEmpty == nil {
		s.ledger.silence("spec.ttlSecondsAfterEmpty", Entry{Outcome: Approximated, Ours: "spec.disruption.idleAfter",
			Message: "an idle node goes after " + native.Spec.Disruption.IdleAfter + ", where v1alpha5 kept it: write Never for that"})
	}
	s.made(im, native, class)
	if s.inline == nil {
		s.done(provisionerRules())
	}
}

// provider reads the inline settings as the class of the same name. They are in the same document, and so in the same report.
func (s *oldPoolSource) provider(im *importing) *classSource {
	template := &nodeTemplate{}
	var raw json.RawMessage = s.in.Spec.Provider.Raw
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &template.Spec); err != nil {
		s.ledger.say(Entry{Outcome: NotCarried, Message: "it cannot be read (" + err.Error() + "): write an EC2NodeClass called " + s.name}, path{"spec", "provider"})
		return nil
	}
	s.inline = &classSource{opened: s.opened, old: template, at: path{"spec", "provider"}}
	if im.classes[s.name] == nil {
		im.classes[s.name] = s.inline
	}
	return s.inline
}

// class makes the class of inline settings.
func (s *oldPoolSource) class(im *importing) {
	if s.inline == nil {
		return
	}
	s.inline.make(im)
	s.done(provisionerRules())
}
