package carryover

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Events is where users learn of what keeps a status from being written.
type Events interface {
	WebhookUnavailable(provisioner client.Object, message string)
}

// askAgain is how long a webhook that does not answer is left alone: somebody has to take it away, and looks for the effect then.
const askAgain = 15 * time.Second

// unansweredCall is how the API server says that a webhook whose failurePolicy is Fail did not answer. It has no other word for it.
var unansweredCall = regexp.MustCompile(`failed calling webhook "([^"]+)": (.*)`)

// removeKarpenters takes away all webhooks of Karpenter's chart, by the label that it puts on them.
const removeKarpenters = "kubectl delete validatingwebhookconfigurations,mutatingwebhookconfigurations -l app.kubernetes.io/name=karpenter"

// unanswered answers what to say of an error that is a webhook's that does not answer; of any other, nothing.
//
// Karpenter before v1 guards provisioners and provisioners/status with webhooks of its own Deployment, which stay when that is scaled to 0: from
// then on nobody can change a Provisioner.
func unanswered(err error) string {
	if !apierrors.IsInternalError(err) {
		return ""
	}
	said := unansweredCall.FindStringSubmatch(err.Error())
	if said == nil {
		return ""
	}
	name, cause := said[1], said[2]
	remedy := "start what serves it, or delete its webhook configuration"
	if strings.HasSuffix(name, "karpenter.sh") || strings.HasSuffix(name, "karpenter.k8s.aws") {
		remedy = "if Karpenter is switched off for good, " + removeKarpenters
	}
	return fmt.Sprintf("webhook %s does not answer, so neither this Provisioner nor its status can be changed; remedy: %s (%s)", name, remedy, cause)
}
