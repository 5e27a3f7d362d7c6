package wire

import (
	"encoding/base64"
	"net/http"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

func (s *Server) describeCluster(w http.ResponseWriter, r *http.Request) {
	if _, err := s.Cloud.Admit(sim.Call{Name: "DescribeCluster"}); err != nil {
		writeJSONError(w, jsonDialect.read(err))
		return
	}
	name := r.PathValue("name")
	asked := policy.Request{Action: "eks:DescribeCluster", Resource: s.arn("eks", s.Cloud.Region(), "cluster/"+name)}
	if err := s.authorize(s.policyOf(r), []policy.Request{asked}); err != nil {
		writeJSONError(w, jsonDialect.read(err))
		return
	}
	if name != s.Cloud.ClusterName() {
		writeJSONError(w, apiError{http.StatusNotFound, "ResourceNotFoundException", "No cluster found for name: " + name + "."})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"cluster": map[string]any{
		"name": name, "arn": s.arn("eks", s.Cloud.Region(), "cluster/"+name), "status": "ACTIVE", "version": s.Cluster.Version,
		"endpoint": s.Cluster.Endpoint, "createdAt": 1785542400.0, "platformVersion": "eks.1",
		"certificateAuthority":    map[string]string{"data": base64.StdEncoding.EncodeToString(s.Cluster.CA)},
		"kubernetesNetworkConfig": map[string]string{"serviceIpv4Cidr": s.Cluster.ServiceCIDR, "ipFamily": "ipv4"},
		"resourcesVpcConfig":      map[string]any{"vpcId": vpcID},
	}})
}
