package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// class is what an error code of AWS means to a caller.
type class int

const (
	classOther class = iota // an outage or something unheard of
	classStockout
	classQuota
	classThrottled
	classDenied
	classTokenReused
	classGone
	classTemplateGone
	classMisconfigured
)

// classOf maps error codes. Codes that end in * are prefixes. One list, so that it can be read against EC2's own.
func classOf(code string) class {
	for _, row := range []struct {
		class class
		codes []string
	}{
		{classStockout, []string{
			"InsufficientInstanceCapacity", "InsufficientCapacity", "InsufficientHostCapacity", "InsufficientReservedInstanceCapacity",
			"UnfulfillableCapacity", "Unsupported", "InsufficientFreeAddressesInSubnet", "ReservationCapacityExceeded",
			"SpotMaxPriceTooLow", "Server.InsufficientInstanceCapacity",
		}},
		{classQuota, []string{"VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "InstanceLimitExceeded"}},
		{classThrottled, []string{
			"RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
			"RequestThrottledException", "TooManyRequestsException", "SlowDown", "EC2ThrottledException",
			"PriorRequestNotComplete", "BandwidthLimitExceeded", "MaxFleetCountExceeded",
		}},
		{classDenied, []string{
			"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure*", "InvalidClientTokenId",
			"ExpiredToken", "ExpiredTokenException", "OptInRequired", "SignatureDoesNotMatch", "UnrecognizedClientException",
			"MissingAuthenticationToken", "PendingVerification", "Blocked", "NotAuthorized",
		}},
		{classTokenReused, []string{"IdempotentParameterMismatch", "IdempotentInstanceTerminated"}},
		{classGone, []string{"InvalidInstanceID*"}},
		{classTemplateGone, []string{"InvalidLaunchTemplateName.NotFoundException", "InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException"}},
		{classMisconfigured, []string{
			"Invalid*", "MissingParameter", "UnknownParameter", "MalformedQueryString", "UnsupportedOperation", "VPCIdNotSpecified",
			"ValidationException", "ValidationError", "ParameterNotFound", "VolumeTypeNotAvailableInZone",
		}},
	} {
		if slices.ContainsFunc(row.codes, func(pattern string) bool {
			prefix, wild := strings.CutSuffix(pattern, "*")
			return code == pattern || wild && strings.HasPrefix(code, prefix)
		}) {
			return row.class
		}
	}
	return classOther
}

// callError turns the answer of one API call into the port's errors. The action names the call as IAM does.
func callError(action string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("calling %s: %w", action, err)
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		if noCredentials(err) {
			return &cloud.DeniedError{Action: action, Message: "no usable AWS credentials: " + err.Error()}
		}
		return fmt.Errorf("calling %s: %w", action, err)
	}
	said := codeError{code: api.ErrorCode(), message: api.ErrorMessage()}
	switch classOf(said.code) {
	case classDenied:
		return &cloud.DeniedError{Action: action, Message: said.Error()}
	case classThrottled:
		return fmt.Errorf("calling %s: %w: %w", action, cloud.ErrThrottled, err)
	case classTokenReused:
		return fmt.Errorf("calling %s: %w: %w", action, cloud.ErrTokenReused, err)
	case classGone:
		return fmt.Errorf("calling %s: %w: %w", action, cloud.ErrGone, err)
	case classMisconfigured:
		if field, remedy, known := said.field(); known {
			return &cloud.MisconfiguredError{Field: field, Message: said.Error() + "; " + remedy}
		}
	}
	return fmt.Errorf("calling %s: %w", action, err)
}

// noCredentials: the SDK has no type for it; the operation "get credentials" only shows in the chain's text.
func noCredentials(err error) bool {
	return strings.Contains(err.Error(), "get identity: get credentials")
}

// codeError is an error as AWS says it: a code and a sentence.
type codeError struct{ code, message string }

func (e codeError) Error() string { return e.code + ": " + e.message }

// field says which field of the node class EC2 is complaining about, and what to do. Codes come first; the message is
// asked only where the code (InvalidParameterValue) says nothing, and only to name a field, never to choose a class.
func (e codeError) field() (field, remedy string, known bool) {
	for _, row := range []struct {
		prefixes      []string
		phrase        string
		field, remedy string
	}{
		{prefixes: []string{"InvalidSubnet"}, field: fieldSubnets, remedy: "select subnets that exist"},
		{prefixes: []string{"InvalidGroup", "InvalidSecurityGroup"}, field: fieldSecurityGroups, remedy: "select security groups of the subnets' VPC"},
		{prefixes: []string{"InvalidAMI"}, field: fieldImages, remedy: "select images that exist and are shared with this account"},
		{prefixes: []string{"InvalidBlockDevice", "InvalidSnapshot", "InvalidVolume", "VolumeTypeNotAvailable", "InvalidKMSKey"},
			field: fieldBlockDevices, remedy: "correct the volumes"},
		{prefixes: []string{"InvalidUserData"}, field: fieldUserData, remedy: "correct or shorten the user data"},
		{phrase: "iaminstanceprofile", field: fieldInstanceProfile, remedy: "name an instance profile that exists"},
		{phrase: "instance profile", field: fieldInstanceProfile, remedy: "name an instance profile that exists"},
		{phrase: "snapshot", field: fieldBlockDevices, remedy: "correct the volumes; the root must be at least as large as the image"},
		{phrase: "user data", field: fieldUserData, remedy: "correct or shorten the user data"},
		{phrase: "tag", field: fieldTags, remedy: "correct the tags"},
		{phrase: "architecture", field: fieldImages, remedy: "select images for the architecture of the instance types"},
		{phrase: "boot mode", field: fieldImages, remedy: "select images whose boot mode the instance types support"},
	} {
		byCode := slices.ContainsFunc(row.prefixes, func(p string) bool { return strings.HasPrefix(e.code, p) })
		byPhrase := row.phrase != "" && strings.Contains(strings.ToLower(e.message), row.phrase)
		if byCode || byPhrase {
			return row.field, row.remedy, true
		}
	}
	return "", "", false
}

// Fields of the EC2NodeClass that errors point at.
const (
	fieldSubnets         = "spec.subnetSelectorTerms"
	fieldSecurityGroups  = "spec.securityGroupSelectorTerms"
	fieldImages          = "spec.amiSelectorTerms"
	fieldRole            = "spec.role"
	fieldInstanceProfile = "spec.instanceProfile"
	fieldUserData        = "spec.userData"
	fieldBlockDevices    = "spec.blockDeviceMappings"
	fieldTags            = "spec.tags"
)
