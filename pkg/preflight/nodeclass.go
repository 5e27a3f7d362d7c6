package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/aws"
	"github.com/slipway-sh/slipway/pkg/provisioner/nodeclass"
)

// classes answers the node classes to look at, those given and those of the cluster, by name.
func (s *survey) classes(ctx context.Context) []*v1alpha1.EC2NodeClass {
	byName := map[string]*v1alpha1.EC2NodeClass{}
	if s.Cluster != nil {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		for _, class := range s.customResources(ctx) {
			byName[class.Name] = &class
		}
	}
	for _, class := range s.Classes {
		byName[class.Name] = class
	}
	if len(byName) == 0 && ctx.Err() == nil {
		s.Report(Result{Check: "node classes", Status: Warn, Message: "there is no EC2NodeClass to look at: subnets, security groups, images and roles are not known",
			Remedy: "apply one, or give its file with -f; examples/ec2nodeclass.yaml is a start"})
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b *v1alpha1.EC2NodeClass) int { return cmp.Compare(a.Name, b.Name) })
}

// customResources looks at Slipway's kinds, and answers the node classes.
func (s *survey) customResources(ctx context.Context) []v1alpha1.EC2NodeClass {
	var classes v1alpha1.EC2NodeClassList
	for _, list := range []client.ObjectList{&s.provisioners, &v1alpha1.NodeClaimList{}, &classes} {
		err := s.Cluster.List(ctx, list)
		kind := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", list), "*v1alpha1."), "List")
		switch {
		case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
			s.Report(Result{Check: "CRDs", Status: Fail, Message: "the cluster has no kind " + kind + " of slipway.sh/v1alpha1",
				Remedy: "install the chart slipway-crds, or slipway, which brings them"})
			return nil
		case apierrors.IsForbidden(err):
			s.Report(Result{Check: "CRDs", Status: Skip, Message: "this user may not list " + kind + "s", Remedy: "run it as somebody who may"})
			return nil
		case err != nil:
			s.failed("CRDs", fmt.Errorf("asking the Kubernetes API: %w", err))
			return nil
		}
	}
	s.ok("CRDs", "Provisioner, NodeClaim and EC2NodeClass are served")
	return classes.Items
}

// lowAddresses is how many free addresses of all subnets are few: a node of a GPU type with its pods takes a dozen and more.
const lowAddresses = 64

func (s *survey) class(ctx context.Context, class *v1alpha1.EC2NodeClass) {
	check := "node class " + class.Name
	if !s.authentic {
		s.Report(Result{Check: check, Status: Skip, Message: "AWS cannot be asked without credentials"})
		return
	}
	t, err := s.AWS.Templates.Resolve(ctx, nodeclass.TemplateSpec(class))
	if err != nil {
		s.failed(check, errors.Unwrap(err)) // without the class' name, which stands in front
		return
	}
	s.family[class.Name] = t.Family
	zones, free := map[string]bool{}, int64(0)
	for _, subnet := range t.Subnets {
		zones[subnet.Zone] = true
		free += subnet.FreeAddresses
	}
	profile := "instance profile " + t.InstanceProfile
	if t.InstanceProfile == "" {
		// Nothing of IAM has a dry run.
		profile = "role " + class.Spec.Role + ", whose instance profile the controller will make; whether it may (iam:CreateInstanceProfile, " +
			"iam:AddRoleToInstanceProfile, iam:PassRole) cannot be tried before"
	}
	found := fmt.Sprintf("subnets: %d, in %s, with %d free addresses; security groups: %d; images: %d of %s; %s", len(t.Subnets),
		strings.Join(slices.Sorted(maps.Keys(zones)), ", "), free, len(t.SecurityGroupIDs), len(t.Images), t.Family, profile)
	if free < lowAddresses {
		s.Report(Result{Check: check, Status: Warn, Message: found, Remedy: "add subnets that have more free addresses"})
	} else {
		s.ok(check, "%s", found)
	}
	s.permissions(ctx, class.Name, t)
}

// permissions tries, without doing it, what a launch for the class does.
func (s *survey) permissions(ctx context.Context, class string, t cloud.Template) {
	report := func(action string, err error) {
		check := "permission " + action + " for " + class
		switch {
		case errors.Is(err, aws.ErrNotTried):
			s.Report(Result{Check: check, Status: Skip, Message: err.Error()})
		case err != nil:
			s.failed(check, err)
		default:
			s.ok(check, "EC2 would do it")
		}
	}
	report("ec2:CreateLaunchTemplate", s.AWS.TryLaunchTemplate(ctx, t))
	choice, market, found := aws.CheapestChoice(t, s.snapshot)
	if !found {
		s.Report(Result{Check: "offerings for " + class, Status: Fail, Message: "no GPU instance type is offered in the zones of its subnets for its images",
			Remedy: "select subnets in other zones, or images of another architecture"})
		return
	}
	report("ec2:RunInstances", s.AWS.TryMachine(ctx, t, choice))
	report("ec2:CreateFleet", s.AWS.TryFleet(ctx, t, choice, market))
	if !s.terminateTried {
		s.terminateTried = true
		report("ec2:TerminateInstances", s.AWS.TryTerminate(ctx))
	}
}
