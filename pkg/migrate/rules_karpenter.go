package migrate

import "slices"

const (
	idleMessage = "a node is idle when no pod on it asks for a GPU; Karpenter calls it empty when it has no pod but those of DaemonSets"
	// underMessage is about every policy that also consolidates nodes in use.
	underMessage  = "idle nodes go; nodes in use are not replaced by cheaper ones: Slipway packs for the least price when it buys"
	budgetMessage = "only idle nodes go by themselves, at once, and expired ones, a tenth of a Provisioner at a time: " +
		"to keep all, set disruption.idleAfter and expireAfter to Never; to keep one, annotate its pods with slipway.sh/do-not-disrupt"
	reservationMsg   = "reserved capacity is not selected: keep what uses it with Karpenter for now"
	enclaveMessage   = "it is not set on machines: keep what needs it with Karpenter, or use user data"
	encryptedMessage = "volumes are encrypted unless this says false, where EC2 encrypts only if the account's default says so"
)

func nodePoolRules() []Rule {
	const of, ours = "spec.template.spec.", "spec.template."
	return slices.Concat(objectRules(), []Rule{
		carried("spec.template.metadata.labels.*", ours+"labels"),
		carried("spec.template.metadata.annotations.*", ours+"annotations"),
		carried(of+"taints.*", ours+"taints").with("key", "value", "effect"),
		leftOut(of+"taints.*.timeAdded", "bookkeeping of Kubernetes"),
		carried(of+"startupTaints.*", ours+"startupTaints").with("key", "value", "effect"),
		leftOut(of+"startupTaints.*.timeAdded", "bookkeeping of Kubernetes"),
		carried(of+"requirements.*", "spec.requirements").with("key", "operator", "values"),
		lost(of+"requirements.*.minValues", "Slipway chooses among all that the requirements allow, and goes elsewhere when there is no capacity: allow more types instead"),
		carried(of+"nodeClassRef.name", "spec.nodeClassRef.name"),
		leftOut(of+"nodeClassRef.**", "a Provisioner's class is always an EC2NodeClass of slipway.sh"),
		approximated(of+"expireAfter", "spec.disruption.expireAfter", "an expired node is drained under PodDisruptionBudgets for as long as that takes; Karpenter v1 drains it without regard to budgets of the NodePool"),
		lost(of+"terminationGracePeriod", "a drain for age waits for PodDisruptionBudgets as long as it takes, and idle nodes have no GPU pods; a notice of EC2 has its own deadline, which nothing delays"),
	}, kubeletRules(of+"kubelet"), []Rule{
		leftOut(of+"resources.**", "it was never read"),
		approximated("spec.disruption.consolidationPolicy", "spec.disruption.idleAfter", underMessage),
		approximated("spec.disruption.consolidateAfter", "spec.disruption.idleAfter", idleMessage),
		approximated("spec.disruption.expireAfter", "spec.disruption.expireAfter", "an expired node is drained under PodDisruptionBudgets"),
		lost("spec.disruption.budgets.*", budgetMessage).with("nodes", "schedule", "duration", "reasons"),
		carried("spec.limits.*", "spec.limits"),
		carried("spec.weight", "spec.weight"),
		lost("spec.replicas", "nodes are launched for pods only: keep the static NodePool, or run pods of low priority that ask for the GPUs"),
	})
}

func nodeClassRules() []Rule {
	return slices.Concat(objectRules(), []Rule{
		carried("spec.amiSelectorTerms.*", "spec.amiSelectorTerms").with("alias", "id", "name", "owner", "tags", "ssmParameter"),
		approximated("spec.amiFamily", "spec.amiSelectorTerms", "the family follows from the alias or from the image's name: an image of your own is of no family, and its userData must join the cluster by itself"),
		carried("spec.subnetSelectorTerms.*", "spec.subnetSelectorTerms").with("id", "tags"),
		carried("spec.securityGroupSelectorTerms.*", "spec.securityGroupSelectorTerms").with("id", "name", "tags"),
		lost("spec.capacityReservationSelectorTerms.**", reservationMsg),
		carried("spec.role", "spec.role"),
		carried("spec.instanceProfile", "spec.instanceProfile"),
		carried("spec.userData", "spec.userData"),
		carried("spec.tags.*", "spec.tags"),
		carried("spec.associatePublicIPAddress", "spec.associatePublicIPAddress"),
		carried("spec.detailedMonitoring", "spec.detailedMonitoring"),
		carried("spec.instanceStorePolicy", "spec.instanceStorePolicy"),
		lost("spec.networkInterfaces.**", "network interfaces are those of the instance type; a pod that asks for vpc.amazonaws.com/efa gets a type that has them, and the image and security groups must be made for it"),
		lost("spec.placementGroupSelector.**", "machines are in no placement group: to keep pods in one zone, use pod affinity"),
		lost("spec.context", enclaveMessage),
		lost("spec.enclaveOptions.**", enclaveMessage),
		lost("spec.cpuOptions.**", enclaveMessage),
		lost("spec.connectionTracking.**", enclaveMessage),
		lost("spec.ipPrefixCount", "addresses are the network plugin's business: set ENABLE_PREFIX_DELEGATION there"),
	}, deviceRules("spec.blockDeviceMappings.*", "ebs."), metadataOptionRules(), kubeletRules("spec.kubelet"))
}

func deviceRules(at, ebs string) []Rule {
	const ours = "spec.blockDeviceMappings"
	return []Rule{
		carried(at+".deviceName", ours+".deviceName"),
		carried(at+".rootVolume", ours+".rootVolume"),
		carried(at+"."+ebs+"volumeSize", ours+".volumeSizeGiB"),
		carried(at+"."+ebs+"volumeType", ours+".volumeType"),
		carried(at+"."+ebs+"iops", ours+".iops"),
		carried(at+"."+ebs+"throughput", ours+".throughput"),
		carried(at+"."+ebs+"encrypted", ours+".encrypted"),
		carried(at+"."+ebs+"kmsKeyID", ours+".kmsKeyID"),
		carried(at+"."+ebs+"snapshotID", ours+".snapshotID"),
		carried(at+"."+ebs+"deleteOnTermination", ours+".deleteOnTermination"),
		lost(at+"."+ebs+"volumeInitializationRate", "volumes load from their snapshot at EC2's own pace: put images that must be there at once into the AMI"),
	}
}

func metadataOptionRules() []Rule {
	var rules []Rule
	for _, name := range []string{"httpEndpoint", "httpProtocolIPv6", "httpPutResponseHopLimit", "httpTokens"} {
		rules = append(rules, carried("spec.metadataOptions."+name, "spec.metadataOptions."+name))
	}
	return rules
}

func provisionerRules() []Rule {
	return slices.Concat(objectRules(), []Rule{
		carried("spec.labels.*", "spec.template.labels"),
		carried("spec.annotations.*", "spec.template.annotations"),
		carried("spec.taints.*", "spec.template.taints").with("key", "value", "effect"),
		leftOut("spec.taints.*.timeAdded", "bookkeeping of Kubernetes"),
		carried("spec.startupTaints.*", "spec.template.startupTaints").with("key", "value", "effect"),
		leftOut("spec.startupTaints.*.timeAdded", "bookkeeping of Kubernetes"),
		carried("spec.requirements.*", "spec.requirements").with("key", "operator", "values"),
		leftOut("spec.kubeletConfiguration.containerRuntime", "nodes run containerd"),
	}, kubeletRules("spec.kubeletConfiguration"), []Rule{
		carried("spec.providerRef.name", "spec.nodeClassRef.name"),
		leftOut("spec.providerRef.**", "a Provisioner's class is always an EC2NodeClass of slipway.sh"),
		approximated("spec.ttlSecondsAfterEmpty", "spec.disruption.idleAfter", idleMessage),
		carried("spec.ttlSecondsUntilExpired", "spec.disruption.expireAfter"),
		carried("spec.limits.resources.*", "spec.limits"),
		carried("spec.weight", "spec.weight"),
		approximated("spec.consolidation.enabled", "spec.disruption.idleAfter", underMessage),
	}, templateFields("spec.provider"))
}

func nodeTemplateRules() []Rule { return slices.Concat(objectRules(), templateFields("spec")) }

// templateFields are those of an AWSNodeTemplate's spec, which a v1alpha5 Provisioner could also have inline.
func templateFields(at string) []Rule {
	rules := []Rule{
		leftOut(at+".apiVersion", "the kind of the source"),
		leftOut(at+".kind", "the kind of the source"),
		approximated(at+".amiFamily", "spec.amiSelectorTerms", "it becomes an alias; with amiSelector the family follows from the image's name"),
		carried(at+".amiSelector.*", "spec.amiSelectorTerms"),
		carried(at+".subnetSelector.*", "spec.subnetSelectorTerms"),
		carried(at+".securityGroupSelector.*", "spec.securityGroupSelectorTerms"),
		carried(at+".instanceProfile", "spec.instanceProfile"),
		carried(at+".userData", "spec.userData"),
		carried(at+".tags.*", "spec.tags"),
		carried(at+".detailedMonitoring", "spec.detailedMonitoring"),
		lost(at+".launchTemplate", "launch templates of your own are not used: write what it says into amiSelectorTerms, userData, blockDeviceMappings and metadataOptions"),
		lost(at+".context", enclaveMessage),
	}
	rules = append(rules, deviceRules(at+".blockDeviceMappings.*", "ebs.")...)
	for _, name := range []string{"httpEndpoint", "httpProtocolIPv6", "httpPutResponseHopLimit", "httpTokens"} {
		rules = append(rules, carried(at+".metadataOptions."+name, "spec.metadataOptions."+name))
	}
	return rules
}
