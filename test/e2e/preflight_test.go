package e2e

import (
	"encoding/json"
	"errors"
	"strings"
)

// looked is one check of preflight, as -o json has it.
type looked struct{ Check, Status, Message, Remedy string }

// preflight: step 6 of docs/install.md, kubectl exec deploy/slipway -- /slipway preflight. With the controller's own flags and rights, and nothing said
// about either, it finds the account as it is, and the one thing that is missing here.
func (s *story) preflight() {
	pod := s.replicas()[0]
	printed, err := s.site.Exec(s.Context(), pod, "/slipway", "preflight", "-o", "json")
	if errors.Is(err, errors.ErrUnsupported) {
		s.Log("preflight is not run in the pod, since pods are processes here: test/integration/stories runs it with the controller's rights")
		return
	}
	var answer struct{ Checks []looked }
	if wrong := json.Unmarshal(printed, &answer); wrong != nil {
		s.Fatalf("%v, %v:\n%s", err, wrong, printed)
	}
	found := map[string]looked{}
	for _, r := range answer.Checks {
		found[r.Check] = r
		if r.Status == "FAIL" && r.Check != "device plugin" {
			s.Errorf("%+v", r)
		}
	}
	for check, want := range map[string]string{
		"credentials": "OK", "cluster": "OK", "queue": "OK", "CRDs": "OK", "node class default": "OK",
		"permission ec2:CreateLaunchTemplate for default": "OK", "device plugin": "FAIL", "controller": "SKIP",
	} {
		if r := found[check]; r.Status != want {
			s.Errorf("%s: %+v, want %s", check, r, want)
		}
	}
	if err == nil || !strings.Contains(found["device plugin"].Remedy, "helm install") {
		s.Errorf("without a device plugin it ends with %v and helps with %q", err, found["device plugin"].Remedy)
	}
}
