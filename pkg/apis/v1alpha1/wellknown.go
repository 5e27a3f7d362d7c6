package v1alpha1

// WellKnownLabels are the labels of Slipway's own domain that describe a machine, so that requirements, and labels of a template, may
// name them; the keys that say whose a node is are not among them. Each call returns a new slice.
func WellKnownLabels() []string {
	return []string{
		LabelCapacityType,
		LabelInstanceFamily, LabelInstanceCategory, LabelInstanceGeneration, LabelInstanceSize,
		LabelInstanceCPU, LabelInstanceCPUManufacturer, LabelInstanceMemory,
		LabelInstanceGPUName, LabelInstanceGPUManufacturer, LabelInstanceGPUCount, LabelInstanceGPUMemory,
		LabelInstanceLocalNVMe, LabelInstanceNetwork, LabelInstanceEBS, LabelInstanceHypervisor,
	}
}
