package migrate

import "slices"

// nodeGroupRules are about one node group of an eksctl ClusterConfig: the fields of managedNodeGroups.* and nodeGroups.* without that prefix.
func nodeGroupRules() []Rule {
	const class = "EC2NodeClass "
	return slices.Concat([]Rule{
		carried("name", "metadata.name"),
		carried("instanceType", "spec.requirements[node.kubernetes.io/instance-type]"),
		carried("instanceTypes", "spec.requirements[node.kubernetes.io/instance-type]"),
		carried("instancesDistribution.instanceTypes", "spec.requirements[node.kubernetes.io/instance-type]"),
		approximated("instancesDistribution.onDemandBaseCapacity", "spec.requirements[slipway.sh/capacity-type]", "on-demand and spot are both allowed where the group mixed them: Slipway takes what is cheaper for the pods, and no share is kept"),
		approximated("instancesDistribution.onDemandPercentageAboveBaseCapacity", "spec.requirements[slipway.sh/capacity-type]", "on-demand and spot are both allowed where the group mixed them: Slipway takes what is cheaper for the pods, and no share is kept"),
		lost("instancesDistribution.maxPrice", "spot machines cost at most what EC2 asks: bound what all cost together with limits.costPerHour"),
		leftOut("instancesDistribution.**", "Slipway chooses by price, capacity and what EC2 lately did"),
		approximated("instanceSelector.gpus", "spec.requirements[slipway.sh/instance-gpu-count]", "exactly so many, on any family: name families too if the GPU matters"),
		carried("instanceSelector.vCPUs", "spec.requirements[slipway.sh/instance-cpu]"),
		approximated("instanceSelector.cpuArchitecture", "spec.requirements[kubernetes.io/arch]", "x86_64 is amd64"),
		lost("instanceSelector.**", "pods say what they need of a machine: add a requirement if more is meant"),
		carried("spot", "spec.requirements[slipway.sh/capacity-type]"),
		carried("availabilityZones", "spec.requirements[topology.kubernetes.io/zone]"),
		lost("localZones", "local zones have other subnets: select them in the EC2NodeClass"),
		carried("maxSize", "spec.limits[nodes]"),
		lost("minSize", "nodes are launched for pods only: for GPUs that lie ready, run pods of low priority that ask for them"),
		lost("desiredCapacity", "nodes are launched for pods only"),
		carried("labels.*", "spec.template.labels"),
		carried("taints.**", "spec.template.taints"),
		carried("maxPodsPerNode", "spec.template.kubelet.maxPods"),
		carried("clusterDNS", "spec.template.kubelet.clusterDNS"),
	}, kubeletRules("kubeletExtraConfig"), []Rule{
		approximated("amiFamily", class+"spec.amiSelectorTerms", "as the newest image of the family, which picks the one for GPUs by itself"),
		carried("ami", class+"spec.amiSelectorTerms"),
		lost("releaseVersion", "the newest image is taken: write an alias with a release to pin it"),
		approximated("volumeSize", class+"spec.blockDeviceMappings", "of the root volume, or Bottlerocket's second, which pods use"),
		carried("volumeType", class+"spec.blockDeviceMappings"),
		carried("volumeIOPS", class+"spec.blockDeviceMappings"),
		carried("volumeThroughput", class+"spec.blockDeviceMappings"),
		carried("volumeEncrypted", class+"spec.blockDeviceMappings"),
		carried("volumeKmsKeyID", class+"spec.blockDeviceMappings"),
		carried("volumeName", class+"spec.blockDeviceMappings"),
		lost("additionalVolumes.**", "write them into blockDeviceMappings of the EC2NodeClass"),
		approximated("privateNetworking", class+"spec.subnetSelectorTerms", "by the tags that eksctl gives to subnets"),
		approximated("subnets", class+"spec.subnetSelectorTerms", "ids as ids, names by the tag Name"),
		carried("securityGroups.attachIDs", class+"spec.securityGroupSelectorTerms"),
		lost("securityGroups.**", "machines get the cluster's security group and those of attachIDs"),
		carried("iam.instanceRoleARN", class+"spec.role"),
		carried("iam.instanceRoleName", class+"spec.role"),
		carried("iam.instanceProfileARN", class+"spec.instanceProfile"),
		lost("iam.**", "policies belong to the role of the nodes: attach them there"),
		carried("tags.*", class+"spec.tags"),
		approximated("disableIMDSv1", class+"spec.metadataOptions.httpTokens", "tokens are required in any case, unless httpTokens is set to optional"),
		approximated("disablePodIMDS", class+"spec.metadataOptions.httpPutResponseHopLimit", "pods do not reach the node's credentials in any case, unless the hop limit is raised to 2"),
		carried("enableDetailedMonitoring", class+"spec.detailedMonitoring"),
		lost("preBootstrapCommands", "write them into userData of the EC2NodeClass, as a shell script"),
		lost("overrideBootstrapCommand", "the bootstrap is Slipway's: write what it did besides into userData of the EC2NodeClass"),
		lost("efaEnabled", "a pod that asks for vpc.amazonaws.com/efa gets a type that has the interfaces; the image and security groups must be made for it"),
		lost("placement.**", "machines are in no placement group: to keep pods in one zone, use pod affinity"),
		lost("capacityReservation.**", "reserved capacity is not selected: keep the node group for it"),
		lost("launchTemplate.**", "launch templates of your own are not used: write what it says into the EC2NodeClass"),
		lost("instancePrefix", "machines are called as their NodeClaim"),
		lost("instanceName", "machines are called as their NodeClaim"),
		lost("ssh.**", "no key is put onto nodes: use SSM's Session Manager, or write keys into userData"),
		lost("bottlerocket.**", "write Bottlerocket's settings into userData of the EC2NodeClass, as TOML"),
		leftOut("asgMetricsCollection.**", "there is no auto scaling group"),
		leftOut("asgSuspendProcesses", "there is no auto scaling group"),
		leftOut("propagateASGTags", "there is no auto scaling group"),
		leftOut("updateConfig.**", "there is no node group to update: expireAfter replaces nodes"),
		leftOut("nodeRepairConfig.**", "there is no node group to repair"),
		leftOut("status.**", "it tells what was, and is no wish"),
	})
}

// clusterRules are those of a whole ClusterConfig: its GPU groups by nodeGroupRules, what is about other things left out.
func clusterRules() []Rule {
	var rules []Rule
	for _, list := range []string{"managedNodeGroups", "nodeGroups"} {
		for _, r := range nodeGroupRules() {
			r.Field = list + ".*." + r.Field
			rules = append(rules, r)
		}
		rules = append(rules, lost(list+".*.**", unknown))
	}
	const cluster = "it is about the cluster, not about nodes"
	return append(rules,
		leftOut("apiVersion", "the kind of the source"), leftOut("kind", "the kind of the source"),
		carried("metadata.name", "the names of roles and tags"),
		leftOut("metadata.**", cluster), leftOut("**", cluster))
}
