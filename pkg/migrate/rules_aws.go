package migrate

const (
	bookkeepingMsg    = "AWS' bookkeeping"
	launchTemplateMsg = "launch templates of your own are not used: write what it says into the EC2NodeClass"
	forPodsMsg        = "nodes are launched for pods only: for GPUs that lie ready, run pods of low priority that ask for them"
	mixedMsg          = "on-demand and spot are both allowed where the group mixed them: Slipway takes what is cheaper for the pods, and no share is kept"
	templateTagsMsg   = "set on every machine, whatever PropagateAtLaunch says; cluster-autoscaler's node-template tags become labels and taints"
)

// eksNodegroupRules are about what `aws eks describe-nodegroup` prints, below nodegroup.
func eksNodegroupRules() []Rule {
	const class = "EC2NodeClass "
	return []Rule{
		carried("nodegroupName", "metadata.name"),
		carried("clusterName", "the names of roles and tags"),
		carried("instanceTypes", "spec.requirements[node.kubernetes.io/instance-type]"),
		carried("capacityType", "spec.requirements[slipway.sh/capacity-type]"),
		carried("scalingConfig.maxSize", "spec.limits[nodes]"),
		lost("scalingConfig.minSize", forPodsMsg),
		lost("scalingConfig.desiredSize", "nodes are launched for pods only"),
		carried("labels.*", "spec.template.labels"),
		carried("taints.*", "spec.template.taints").with("key", "value", "effect"),
		approximated("amiType", class+"spec.amiSelectorTerms", "as the newest image of the family, which picks the one for GPUs by itself"),
		lost("releaseVersion", "the newest image is taken: write an alias with a release to pin it"),
		carried("subnets", class+"spec.subnetSelectorTerms"),
		carried("nodeRole", class+"spec.role"),
		approximated("diskSize", class+"spec.blockDeviceMappings", "of the root volume, or Bottlerocket's second, which pods use"),
		carried("tags.*", class+"spec.tags"),
		lost("launchTemplate.**", launchTemplateMsg),
		lost("remoteAccess.**", "no key is put onto nodes: use SSM's Session Manager, or write keys into userData"),
		leftOut("updateConfig.**", "there is no node group to update: expireAfter replaces nodes"),
		leftOut("nodeRepairConfig.**", "there is no node group to repair"),
		leftOut("nodegroupArn", bookkeepingMsg), leftOut("version", bookkeepingMsg), leftOut("createdAt", bookkeepingMsg), leftOut("modifiedAt", bookkeepingMsg),
		leftOut("status", bookkeepingMsg), leftOut("resources.**", bookkeepingMsg), leftOut("health.**", bookkeepingMsg),
	}
}

// autoScalingGroupRules are about what `aws autoscaling describe-auto-scaling-groups` prints, below each of AutoScalingGroups.
func autoScalingGroupRules() []Rule {
	const class = "EC2NodeClass "
	const mixed = "MixedInstancesPolicy."
	return []Rule{
		carried("AutoScalingGroupName", "metadata.name"),
		carried("MaxSize", "spec.limits[nodes]"),
		lost("MinSize", forPodsMsg),
		lost("DesiredCapacity", "nodes are launched for pods only"),
		carried(mixed+"LaunchTemplate.Overrides.*.InstanceType", "spec.requirements[node.kubernetes.io/instance-type]"),
		lost(mixed+"LaunchTemplate.Overrides.**", "Slipway weighs types by their price and capacity itself"),
		lost(mixed+"LaunchTemplate.**", launchTemplateMsg),
		approximated(mixed+"InstancesDistribution.OnDemandBaseCapacity", "spec.requirements[slipway.sh/capacity-type]", mixedMsg),
		approximated(mixed+"InstancesDistribution.OnDemandPercentageAboveBaseCapacity", "spec.requirements[slipway.sh/capacity-type]", mixedMsg),
		lost(mixed+"InstancesDistribution.SpotMaxPrice", "spot machines cost at most what EC2 asks: bound what all cost together with limits.costPerHour"),
		leftOut(mixed+"InstancesDistribution.**", "Slipway chooses by price, capacity and what EC2 lately did"),
		approximated("Instances.*.InstanceType", "spec.requirements[node.kubernetes.io/instance-type]", "the types of what runs, where the group itself names none"),
		leftOut("Instances.**", "they run on"),
		carried("VPCZoneIdentifier", class+"spec.subnetSelectorTerms"),
		leftOut("AvailabilityZones", "they follow from the subnets"),
		leftOut("AvailabilityZoneIds", "they follow from the subnets"),
		approximated("Tags.*", class+"spec.tags", templateTagsMsg).with("Key", "Value"),
		leftOut("Tags.**", bookkeepingMsg),
		lost("LaunchTemplate.**", launchTemplateMsg),
		lost("LaunchConfigurationName", launchTemplateMsg),
		lost("PlacementGroup", "machines are in no placement group: to keep pods in one zone, use pod affinity"),
		leftOut("**", "it is about the auto scaling group, of which there is none"),
	}
}
