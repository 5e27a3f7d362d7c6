package aws

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

const actionCreateFleet = "ec2:CreateFleet"

func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// topLevelError maps an error that refused the request as a whole: it concerns every choice in it.
func topLevelError(req cloud.LaunchRequest, p launchPlan, err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch classOfFleet(api.ErrorCode(), api.ErrorMessage()) {
		case classStockout, classQuota, classMisconfigured:
			return fleetError([]ec2types.CreateFleetError{{
				ErrorCode: awssdk.String(api.ErrorCode()), ErrorMessage: awssdk.String(api.ErrorMessage()),
			}}, req, p)
		}
	}
	return callError(actionCreateFleet, err)
}

// classOfFleet knows one code more than classOf: EC2 says InvalidFleetConfiguration both for a request that makes no
// sense and for a type that a zone does not have, and only the sentence tells.
func classOfFleet(code, message string) class {
	if code == "InvalidFleetConfiguration" && strings.Contains(message, "Availability Zone") {
		return classStockout
	}
	return classOf(code)
}

// tried answers the offerings that an error is about: the one of its override, or every choice where it names none.
func tried(e ec2types.CreateFleetError, req cloud.LaunchRequest, p launchPlan) []cloud.OfferingKey {
	if e.LaunchTemplateAndOverrides != nil && e.LaunchTemplateAndOverrides.Overrides != nil {
		o := e.LaunchTemplateAndOverrides.Overrides
		zone := cmp.Or(awssdk.ToString(o.AvailabilityZone), p.zoneOf[awssdk.ToString(o.SubnetId)])
		if o.InstanceType != "" && zone != "" {
			return []cloud.OfferingKey{{InstanceType: string(o.InstanceType), Zone: zone, Market: req.Market}}
		}
	}
	return p.offerings(req.Market)
}

// stockouts answers what was out of stock, sorted, without repetition.
func stockouts(errs []ec2types.CreateFleetError, req cloud.LaunchRequest, p launchPlan) []cloud.OfferingKey {
	var keys []cloud.OfferingKey
	for _, e := range errs {
		if classOfFleet(awssdk.ToString(e.ErrorCode), awssdk.ToString(e.ErrorMessage)) == classStockout {
			keys = append(keys, tried(e, req, p)...)
		}
	}
	return sortedKeys(keys)
}

// fleetError makes one error of the errors of a fleet that launched nothing. Errors of different kinds are joined, the
// ones that a person must act on first, so that errors.As finds each of them.
func fleetError(errs []ec2types.CreateFleetError, req cloud.LaunchRequest, p launchPlan) error {
	if len(errs) == 0 {
		return errors.New("EC2 launched nothing and gave no reason")
	}
	byClass := map[class][]ec2types.CreateFleetError{}
	for _, e := range errs {
		c := classOfFleet(awssdk.ToString(e.ErrorCode), awssdk.ToString(e.ErrorMessage))
		byClass[c] = append(byClass[c], e)
	}
	var found []error
	for _, c := range []class{classDenied, classMisconfigured, classQuota, classStockout, classThrottled} {
		if len(byClass[c]) == 0 {
			continue
		}
		message := messages(byClass[c])
		switch c {
		case classDenied:
			found = append(found, deniedError(byClass[c][0], message))
		case classMisconfigured:
			found = append(found, misconfiguredError(byClass[c][0], req, message))
		case classQuota:
			found = append(found, quotaErrors(byClass[c], req, p, message)...)
		case classStockout:
			found = append(found, &cloud.StockoutError{Offerings: stockouts(byClass[c], req, p), Message: message})
		case classThrottled:
			found = append(found, fmt.Errorf("%w: %s", cloud.ErrThrottled, message))
		}
	}
	switch len(found) {
	case 0:
		return fmt.Errorf("EC2 launched nothing: %s", messages(errs))
	case 1:
		return found[0]
	}
	return errors.Join(found...)
}

// messages answers EC2's own words, each once, in order.
func messages(errs []ec2types.CreateFleetError) string {
	said := map[string]bool{}
	for _, e := range errs {
		said[codeError{awssdk.ToString(e.ErrorCode), awssdk.ToString(e.ErrorMessage)}.Error()] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(said)), "; ")
}

func deniedError(e ec2types.CreateFleetError, message string) error {
	if strings.Contains(awssdk.ToString(e.ErrorCode), "ServiceLinkedRole") {
		return &cloud.DeniedError{Action: "iam:CreateServiceLinkedRole", Message: message +
			"; create the role once: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"}
	}
	return &cloud.DeniedError{Action: actionCreateFleet, Message: message}
}

// misconfiguredError names the field where EC2's words tell it. An instance profile that Slipway made itself is not a
// person's mistake: EC2 sees it some seconds after IAM does.
func misconfiguredError(e ec2types.CreateFleetError, req cloud.LaunchRequest, message string) error {
	said := codeError{awssdk.ToString(e.ErrorCode), awssdk.ToString(e.ErrorMessage)}
	field, remedy, known := said.field()
	switch {
	case known && field == fieldInstanceProfile && req.Template.Spec.Role != "":
		return fmt.Errorf("EC2 does not see instance profile %s yet: %s", req.Template.InstanceProfile, message)
	case known:
		return &cloud.MisconfiguredError{Field: field, Message: message + "; " + remedy}
	}
	return &cloud.MisconfiguredError{Field: "spec", Message: message + "; correct the node class as EC2 says"}
}

// quotaErrors answers one error for each quota that the errors touch.
func quotaErrors(errs []ec2types.CreateFleetError, req cloud.LaunchRequest, p launchPlan, message string) []error {
	buckets := map[string]bool{}
	for _, e := range errs {
		for _, key := range tried(e, req, p) {
			buckets[cloud.QuotaBucket(key.InstanceType)] = true
		}
	}
	var found []error
	for _, bucket := range slices.Sorted(maps.Keys(buckets)) {
		found = append(found, &cloud.QuotaError{Market: req.Market, Bucket: bucket, Message: message})
	}
	return found
}
