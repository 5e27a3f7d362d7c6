package crds_test

import (
	"testing"

	"github.com/slipway-sh/slipway/pkg/apis/crds"
	"github.com/slipway-sh/slipway/pkg/apis/crds/admit"
)

// An API server would take each definition: schema, printer columns and the cost of every rule.
func TestDefinitionsAreValid(t *testing.T) {
	for _, manifest := range append(crds.Native(), crds.Karpenter()) {
		if _, err := admit.Load(manifest); err != nil {
			t.Error(err)
		}
	}
}
