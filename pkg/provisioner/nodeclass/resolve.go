package nodeclass

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

const (
	// resolveTimeout bounds one look-up, so that an endpoint which swallows requests does not hold a worker.
	resolveTimeout = time.Minute
	// retryOutage is the pace at which a cloud that does not answer is asked again.
	retryOutage = 15 * time.Second
	// retryMistake is the pace at which a mistake that a person must correct is looked at again: the remedy may be in AWS (a tag, a
	// policy), where nothing tells us of it.
	retryMistake = time.Minute
)

// resolve asks the cloud and answers what is known then. before is what was known.
func (r *Reconciler) resolve(ctx context.Context, nc *v1alpha1.EC2NodeClass, before entry) entry {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	template, err := r.cfg.Templates.Resolve(ctx, TemplateSpec(nc))
	now := r.cfg.Now()
	e := entry{uid: nc.UID, generation: nc.Generation}
	if err == nil {
		template = cloneTemplate(template)
		e.template, e.reason, e.message = &template, v1alpha1.ReasonOK, summary(template)
		e.due = now.Add(spread(r.cfg.Refresh, string(nc.UID)))
		return e
	}
	reason, transient := classify(err)
	e.reason, e.message = reason, err.Error()
	e.due = now.Add(retryMistake)
	if !transient {
		return e
	}
	e.due = now.Add(retryOutage)
	if before.of(nc) && before.template != nil {
		e.template = before.template
		e.message = "what was found before is still used; looking it up again: " + err.Error()
	}
	return e
}

// classify answers the reason for an error, and whether it passes by itself. Only then does the last good template stay in use: a class
// that points to nothing, or that the account may not use, would fail at its launches.
func classify(err error) (reason v1alpha1.Reason, transient bool) {
	if _, ok := errors.AsType[*cloud.MisconfiguredError](err); ok {
		return v1alpha1.ReasonMisconfigured, false
	}
	if _, ok := errors.AsType[*cloud.DeniedError](err); ok {
		return v1alpha1.ReasonDenied, false
	}
	if errors.Is(err, cloud.ErrThrottled) {
		return v1alpha1.ReasonThrottled, true
	}
	return v1alpha1.ReasonOutage, true
}

func summary(t cloud.Template) string {
	zones := distinct(t.Subnets, func(n cloud.Subnet) string { return n.Zone })
	return fmt.Sprintf("%d images (%s), %d subnets in %d zones, %d security groups, instance profile %s",
		len(t.Images), t.Family, len(t.Subnets), len(zones), len(t.SecurityGroupIDs), t.InstanceProfile)
}

// spread moves a period by up to a tenth either way, always the same for the same class: classes that were created together do not
// ask the cloud together for ever.
func spread(period time.Duration, key string) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(key))
	return period*9/10 + period/5*time.Duration(h.Sum32()%1000)/1000
}
