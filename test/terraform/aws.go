package terraform

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/slipway-sh/slipway/test/stack"
)

// arguments are those of each type of resource that the module uses: the AWS provider's reference, versions 5 and 6.
var arguments = map[string][]string{ // read only
	"aws_cloudwatch_event_rule":        {"name", "name_prefix", "description", "event_pattern"},
	"aws_cloudwatch_event_target":      {"rule", "target_id", "arn"},
	"aws_eks_access_entry":             {"cluster_name", "principal_arn", "type"},
	"aws_eks_pod_identity_association": {"cluster_name", "namespace", "service_account", "role_arn"},
	"aws_iam_policy":                   {"name", "description", "policy"},
	"aws_iam_role":                     {"name", "description", "assume_role_policy"},
	"aws_iam_role_policy_attachment":   {"role", "policy_arn"},
	"aws_sqs_queue":                    {"name", "message_retention_seconds", "sqs_managed_sse_enabled"},
	"aws_sqs_queue_policy":             {"queue_url", "policy"},
}

// dataSource answers a data source by its address without data.
func dataSource(place stack.Place, address string) (cty.Value, error) {
	facts := map[string]map[string]string{
		"aws_caller_identity": {"account_id": place.Account},
		"aws_partition":       {"partition": place.Partition, "dns_suffix": place.URLSuffix},
		"aws_region":          {"id": place.Region},
	}
	kind, _ := split(address)
	values := map[string]cty.Value{}
	for name, value := range facts[kind] {
		values[name] = cty.StringVal(value)
	}
	if len(values) == 0 {
		return cty.NilVal, fmt.Errorf("the data source %s is not known here", kind)
	}
	return cty.ObjectVal(values), nil
}

// madeUp adds the attributes that AWS would make up, in the form that test/stack gives them.
func madeUp(place stack.Place, i *Instance) error {
	arn := func(service, region, resource string) cty.Value {
		return cty.StringVal(strings.Join([]string{"arn", place.Partition, service, region, place.Account, resource}, ":"))
	}
	if _, known := arguments[i.Type]; !known {
		return fmt.Errorf("the type %s is not known here", i.Type)
	}
	switch i.Type {
	case "aws_cloudwatch_event_rule":
		i.Attributes["arn"] = arn("events", place.Region, "rule/"+i.Key+"Rule")
		i.Attributes["name"] = cty.StringVal(i.Key + "Rule")
	case "aws_iam_policy":
		i.Attributes["arn"] = arn("iam", "", "policy/"+i.Arguments["name"].AsString())
	case "aws_iam_role":
		i.Attributes["arn"] = arn("iam", "", "role/"+i.Arguments["name"].AsString())
	case "aws_sqs_queue":
		name := i.Arguments["name"].AsString()
		i.Attributes["arn"] = arn("sqs", place.Region, name)
		i.Attributes["url"] = cty.StringVal("https://sqs." + place.Region + "." + place.URLSuffix + "/" + place.Account + "/" + name)
	}
	return nil
}

// functions are those of Terraform's that the module uses.
func functions(files fs.FS) map[string]function.Function {
	return map[string]function.Function{
		"can":          tryfunc.CanFunc,
		"contains":     stdlib.ContainsFunc,
		"jsonencode":   stdlib.JSONEncodeFunc,
		"length":       length,
		"lookup":       stdlib.LookupFunc,
		"lower":        stdlib.LowerFunc,
		"one":          one,
		"regex":        stdlib.RegexFunc,
		"templatefile": templateFile(files),
		"toset":        stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
	}
}

// length is of texts and of collections.
var length = function.New(&function.Spec{ // read only
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if args[0].Type() == cty.String {
			return stdlib.Strlen(args[0])
		}
		return stdlib.Length(args[0])
	},
})

// one answers the only member of a list, or null of an empty one.
var one = function.New(&function.Spec{ // read only
	Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		switch args[0].LengthInt() {
		case 0:
			return cty.NullVal(cty.DynamicPseudoType), nil
		case 1:
			return args[0].AsValueSlice()[0], nil
		}
		return cty.NilVal, fmt.Errorf("there are %d", args[0].LengthInt())
	},
})

func templateFile(files fs.FS) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "vars", Type: cty.DynamicPseudoType}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := strings.TrimPrefix(args[0].AsString(), "./")
			text, err := fs.ReadFile(files, name)
			if err != nil {
				return cty.NilVal, err
			}
			template, problems := hclsyntax.ParseTemplate(text, name, hcl.InitialPos)
			if problems.HasErrors() {
				return cty.NilVal, problems
			}
			value, problems := template.Value(&hcl.EvalContext{Variables: args[1].AsValueMap(),
				Functions: map[string]function.Function{"jsonencode": stdlib.JSONEncodeFunc}})
			return value, asError(problems)
		},
	})
}

func split(address string) (kind, name string) {
	kind, name, _ = strings.Cut(address, ".")
	return kind, name
}

func cut(text, prefix string, rest *string) (found bool) {
	*rest, found = strings.CutPrefix(text, prefix)
	return found
}
