package nominate

import (
	"fmt"

	utilversion "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/version"
)

// heededFrom is the version of Kubernetes from which on kube-scheduler heeds the nominations of others by default (KEP-5278, feature gate
// NominatedNodeNameForExpectation). Before, it was alpha in 1.34 and off.
var heededFrom = utilversion.MustParseGeneric("1.35")

// NotHeeded answers why the scheduler of a cluster is not expected to heed nominations, going by the version of its API server; empty: it is
// expected to. Gates that are set by hand are not seen: what becomes of plans is counted all the same.
func NotHeeded(server *version.Info) (string, error) {
	v, err := utilversion.ParseGeneric(server.GitVersion)
	if err != nil {
		return "", fmt.Errorf("reading the version of the API server: %w", err)
	}
	if v.AtLeast(heededFrom) {
		return "", nil
	}
	return fmt.Sprintf("the API server is of Kubernetes %d.%d, and schedulers heed status.nominatedNodeName from %d.%d on, or with the feature gate "+
		"NominatedNodeNameForExpectation", v.Major(), v.Minor(), heededFrom.Major(), heededFrom.Minor()), nil
}

// Remedy is what helps where nominations are not heeded.
const Remedy = remedyProfile
