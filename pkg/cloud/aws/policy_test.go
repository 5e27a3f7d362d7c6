package aws_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/test/stack"
)

// services are the SDK's service packages whose names are not the prefix of their actions in IAM.
var services = map[string]string{"eventbridge": "events"} // read only

// implied are actions that AWS asks for beside the one that is called.
var implied = map[string][]string{ // read only
	// EC2's user guide, "EC2 Fleet prerequisites": an instant fleet launches, tags and passes the role in the caller's name.
	"ec2:CreateFleet": {"ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"},
	// EC2's user guide, "Grant permission to tag Amazon EC2 resources during creation".
	"ec2:CreateLaunchTemplate": {"ec2:CreateTags"},
	// IAM's API reference: tags given while creating need the action that tags; a role that is added is passed.
	"iam:CreateInstanceProfile":    {"iam:TagInstanceProfile"},
	"iam:AddRoleToInstanceProfile": {"iam:PassRole"},
}

// onBehalf are actions that the code never calls and that EC2 calls in the controller's name (a forward access session) where a volume is
// encrypted with a customer's key: EBS' user guide, "Requirements for Amazon EBS encryption". KMS knows no action ReEncrypt: it asks for two.
var onBehalf = []string{ // read only
	"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo",
}

// unasked are actions that every principal may call: STS' API reference, GetCallerIdentity.
var unasked = []string{"sts:GetCallerIdentity"} // read only

// TestPolicyAllowsWhatIsCalledAndNoMore compares the template's policies with the calls in this package's source: as it is by default, and with
// every optional right.
func TestPolicyAllowsWhatIsCalledAndNoMore(t *testing.T) {
	called, idle, err := calls(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(called) < 20 {
		t.Fatalf("only %d calls were found: %v", len(called), called)
	}
	for _, action := range idle {
		t.Errorf("%s: its input is named in the source but it is not called", action)
	}
	for name, tc := range map[string]struct {
		policies func(cluster, queue string) ([]byte, error)
		want     []string
	}{
		"default": {stack.ControllerPolicies, needed(called)},
		"widest":  {stack.WidestPolicies, needed(append(slices.Clone(called), onBehalf...))},
	} {
		document, err := tc.policies("prod", "queue")
		if err != nil {
			t.Fatal(err)
		}
		set, err := policy.Parse(document)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, set.Actions()); diff != "" {
			t.Errorf("%s: actions of deploy/cloudformation/slipway.yaml (-called +allowed):\n%s", name, diff)
		}
	}
}

// needed answers the actions that a policy must name for calls, as Actions does.
func needed(called []string) []string {
	all := map[string]bool{}
	for _, action := range called {
		for _, one := range append([]string{action}, implied[action]...) {
			if !slices.Contains(unasked, one) {
				all[strings.ToLower(one)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// calls reads Go sources for actions of AWS. Each call of the SDK names its input, service.ActionInput, in the call itself or in the
// interface that it goes through, or makes a service.NewActionPaginator. Called are those of which there is a call of a method of the
// action's name too; idle are the others.
func calls(sources fs.FS) (called, idle []string, err error) {
	names, err := fs.Glob(sources, "*.go")
	if err != nil {
		return nil, nil, err
	}
	named, methods := map[string]bool{}, map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(sources, name)
		if err != nil {
			return nil, nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		prefixes := prefixesOf(file)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if method, isMethod := n.Fun.(*ast.SelectorExpr); isMethod {
					methods[method.Sel.Name] = true
				}
			case *ast.SelectorExpr:
				from, _ := n.X.(*ast.Ident)
				if from == nil || prefixes[from.Name] == "" {
					break
				}
				if action, isInput := strings.CutSuffix(n.Sel.Name, "Input"); isInput {
					named[prefixes[from.Name]+":"+action] = true
				}
				if action, pages := strings.CutSuffix(strings.TrimPrefix(n.Sel.Name, "New"), "Paginator"); pages {
					named[prefixes[from.Name]+":"+action], methods[action] = true, true
				}
			}
			return true
		})
	}
	for _, action := range slices.Sorted(maps.Keys(named)) {
		if _, method, _ := strings.Cut(action, ":"); methods[method] {
			called = append(called, action)
		} else {
			idle = append(idle, action)
		}
	}
	return called, idle, nil
}

// prefixesOf answers the IAM prefix of each of the SDK's services that a file imports, by the name that it has there.
func prefixesOf(file *ast.File) map[string]string {
	prefixes := map[string]string{}
	for _, i := range file.Imports {
		imported, err := strconv.Unquote(i.Path.Value)
		if err != nil || path.Dir(imported) != "github.com/aws/aws-sdk-go-v2/service" {
			continue
		}
		service := path.Base(imported)
		name := service
		if i.Name != nil {
			name = i.Name.Name
		}
		prefixes[name] = service
		if prefix, other := services[service]; other {
			prefixes[name] = prefix
		}
	}
	return prefixes
}

// TestCalls_catches plants calls in every form that the source may have.
func TestCalls_catches(t *testing.T) {
	source := `package aws
import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	queue "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
)
type api interface {
	DescribeVpcs(context.Context, *ec2.DescribeVpcsInput) error
	RebootInstances(context.Context, *ec2.RebootInstancesInput) error
}
func f(a api, q *queue.Client) {
	a.DescribeVpcs(ctx, in)
	q.PurgeQueue(ctx, &queue.PurgeQueueInput{})
	ec2.NewDescribeHostsPaginator(a, nil)
	eventbridge.New(o).ListRules(ctx, &eventbridge.ListRulesInput{})
}`
	called, idle, err := calls(fstest.MapFS{"a.go": {Data: []byte(source)}, "a_test.go": {Data: []byte("package aws\nvar x sqs.AddPermissionInput")}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ec2:DescribeHosts", "ec2:DescribeVpcs", "events:ListRules", "sqs:PurgeQueue"}, called); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ec2:RebootInstances"}, idle); diff != "" {
		t.Errorf("idle (-want +got):\n%s", diff)
	}
	want := []string{"ec2:createfleet", "ec2:createtags", "ec2:runinstances", "iam:passrole"}
	if diff := cmp.Diff(want, needed([]string{"ec2:CreateFleet", "sts:GetCallerIdentity"})); diff != "" {
		t.Errorf("needed (-want +got):\n%s", diff)
	}
}
