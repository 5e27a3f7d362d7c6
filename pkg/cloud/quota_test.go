package cloud

import "testing"

func TestQuotaBucket(t *testing.T) {
	for name, want := range map[string]string{
		"g4dn.xlarge": "G and VT", "gr6.4xlarge": "G and VT", "vt1.3xlarge": "G and VT", "p5.48xlarge": "P", "p6-b200.48xlarge": "P",
		"m5.large": "Standard", "im4gn.large": "Standard", "inf2.xlarge": "Inf", "trn1.2xlarge": "Trn", "dl1.24xlarge": "DL",
		"x2gd.large": "X", "f2.6xlarge": "F", "u-6tb1.metal": "u-6tb1",
	} {
		if got := QuotaBucket(name); got != want {
			t.Errorf("QuotaBucket(%s) = %q, want %q", name, got, want)
		}
	}
}
