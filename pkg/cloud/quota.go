package cloud

import "strings"

// QuotaBucket names the vCPU quota that an instance type counts against, in the words that EC2's Service Quotas groups families by:
// "G and VT", "P", "Standard", ... A family that it does not know is a bucket of its own. EC2 has separate spot quotas for
// P5 and for P4, P3 and P2; here they are one, so that one of them being used up closes the other for some minutes, too.
func QuotaBucket(instanceType string) string {
	t := InstanceType{Name: instanceType}
	switch category := t.Category(); category {
	case "g", "gr", "vt":
		return "G and VT"
	case "p", "f", "x", "dl":
		return strings.ToUpper(category)
	case "inf", "trn":
		return strings.ToUpper(category[:1]) + category[1:]
	case "a", "c", "d", "h", "i", "m", "r", "t", "z", "im", "is":
		return "Standard"
	}
	return t.Family()
}
