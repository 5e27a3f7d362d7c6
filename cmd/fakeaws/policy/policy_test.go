package policy

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func parsed(t *testing.T, text string) *Set {
	t.Helper()
	s, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func statementOf(effect, action, resource, condition string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Action":` + action + `,"Resource":` + resource +
		`,"Condition":` + condition + `}]}`
}

func TestCheck(t *testing.T) {
	const machine = "arn:aws:ec2:us-east-1:123456789012:instance/i-1"
	tags := func(pairs ...string) map[string][]string {
		context := map[string][]string{}
		for i := 0; i < len(pairs); i += 2 {
			context["aws:ResourceTag/"+pairs[i]] = append(context["aws:ResourceTag/"+pairs[i]], pairs[i+1])
		}
		return context
	}
	for name, tc := range map[string]struct {
		condition string
		context   map[string][]string
		want      bool
	}{
		"no condition":                  {`{}`, nil, true},
		"equal":                         {`{"StringEquals":{"aws:ResourceTag/a":"x"}}`, tags("a", "x"), true},
		"equal to one of two":           {`{"StringEquals":{"aws:ResourceTag/a":["y","x"]}}`, tags("a", "x"), true},
		"the key's case does not count": {`{"StringEquals":{"AWS:resourceTag/A":"x"}}`, tags("a", "x"), true},
		"the value's case does":         {`{"StringEquals":{"aws:ResourceTag/a":"X"}}`, tags("a", "x"), false},
		"no wildcard in StringEquals":   {`{"StringEquals":{"aws:ResourceTag/a":"?*"}}`, tags("a", "x"), false},
		"another value":                 {`{"StringEquals":{"aws:ResourceTag/a":"x"}}`, tags("a", "y"), false},
		"missing":                       {`{"StringEquals":{"aws:ResourceTag/a":"x"}}`, nil, false},
		"missing, if it exists":         {`{"StringEqualsIfExists":{"aws:ResourceTag/a":"x"}}`, nil, true},
		"wrong, if it exists":           {`{"StringEqualsIfExists":{"aws:ResourceTag/a":"x"}}`, tags("a", "y"), false},
		"two keys, one wrong":           {`{"StringEquals":{"aws:ResourceTag/a":"x","aws:ResourceTag/b":"x"}}`, tags("a", "x", "b", "y"), false},
		"two operators, one wrong":      {`{"StringEquals":{"aws:ResourceTag/a":"x"},"StringLike":{"aws:ResourceTag/b":"?*"}}`, tags("a", "x", "b", ""), false},
		"like anything but nothing":     {`{"StringLike":{"aws:ResourceTag/b":"?*"}}`, tags("b", "z"), true},
		"not equal":                     {`{"StringNotEquals":{"aws:ResourceTag/a":"x"}}`, tags("a", "x"), false},
		"not equal, missing":            {`{"StringNotEquals":{"aws:ResourceTag/a":"x"}}`, nil, true},
		"null true, missing":            {`{"Null":{"aws:ResourceTag/a":"true"}}`, nil, true},
		"null false, missing":           {`{"Null":{"aws:ResourceTag/a":"false"}}`, nil, false},
		"null false, there":             {`{"Null":{"aws:ResourceTag/a":"false"}}`, tags("a", ""), true},
		"for all values":                {`{"ForAllValues:StringEquals":{"aws:ResourceTag/a":["x","y"]}}`, tags("a", "x", "a", "y"), true},
		"for all values, one more":      {`{"ForAllValues:StringEquals":{"aws:ResourceTag/a":["x","y"]}}`, tags("a", "x", "a", "z"), false},
		"for all values, none":          {`{"ForAllValues:StringEquals":{"aws:ResourceTag/a":"x"}}`, nil, true},
		"for any value":                 {`{"ForAnyValue:StringEquals":{"aws:ResourceTag/a":"x"}}`, tags("a", "z", "a", "x"), true},
		"for any value, none":           {`{"ForAnyValue:StringEquals":{"aws:ResourceTag/a":"x"}}`, nil, false},
		"arn":                           {`{"ArnLike":{"aws:ResourceTag/a":"arn:aws:*:rule/x*"}}`, tags("a", "arn:aws:events:r:1:rule/xy"), true},
		"bool":                          {`{"Bool":{"aws:ResourceTag/a":"true"}}`, tags("a", "True"), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := parsed(t, statementOf("Allow", `"ec2:Terminate*"`, `"arn:aws:ec2:us-east-1:123456789012:instance/*"`, tc.condition))
			err := s.Check(Request{Action: "ec2:TerminateInstances", Resource: machine, Context: tc.context})
			if (err == nil) != tc.want {
				t.Errorf("allowed is %v; want %v", err == nil, tc.want)
			}
		})
	}
}

func TestCheckDenies(t *testing.T) {
	s := parsed(t, `[`+statementOf("Allow", `["ec2:*"]`, `"*"`, `{}`)+`,`+statementOf("Deny", `"ec2:TerminateInstances"`, `"*"`, `{"StringEquals":{"aws:ResourceTag/a":"x"}}`)+`]`)
	var denied *DeniedError
	err := s.Check(Request{Action: "ec2:TerminateInstances", Resource: "r", Context: map[string][]string{"aws:ResourceTag/a": {"x"}}})
	if !errors.As(err, &denied) || !denied.Explicit || !strings.Contains(err.Error(), "explicit deny") {
		t.Errorf("a Deny beside an Allow: %v", err)
	}
	if err := s.Check(Request{Action: "ec2:TerminateInstances", Resource: "r"}); err != nil {
		t.Errorf("a Deny whose condition does not hold: %v", err)
	}
	if err := s.Check(Request{Action: "iam:PassRole", Resource: "r"}); !errors.As(err, &denied) || denied.Explicit {
		t.Errorf("an action that nothing names: %v", err)
	}
	if err := (*Set)(nil).Check(Request{Action: "iam:PassRole"}); err != nil {
		t.Errorf("without policies: %v", err)
	}
}

func onResource(effect, principal string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"sqs:*","Resource":"*"}]}`
}

// TestResourceCheck: within one account an Allow of either policy is enough, and a Deny of either wins.
func TestResourceCheck(t *testing.T) {
	const user, events = "arn:aws:iam::123456789012:user/a", "events.amazonaws.com"
	everything := parsed(t, statementOf("Allow", `"*"`, `"*"`, `{}`))
	nothing, denying := &Set{}, parsed(t, statementOf("Deny", `"sqs:*"`, `"*"`, `{}`))
	for name, tc := range map[string]struct {
		policy string
		own    *Set
		by     Caller
		want   string // allowed, implicit, identity or resource
	}{
		"the own policy's Allow":          {onResource("Allow", `{"Service":"events.amazonaws.com"}`), everything, Caller{ARN: user}, "allowed"},
		"no policies at all":              {onResource("Allow", `{"Service":"events.amazonaws.com"}`), nil, Caller{ARN: user}, "allowed"},
		"the resource's Allow":            {onResource("Allow", `{"AWS":"`+user+`"}`), nothing, Caller{ARN: user}, "allowed"},
		"another's Allow":                 {onResource("Allow", `{"AWS":["`+user+`2"]}`), nothing, Caller{ARN: user}, "implicit"},
		"the account's Allow":             {onResource("Allow", `{"AWS":"arn:aws:iam::123456789012:root"}`), nothing, Caller{ARN: user}, "implicit"},
		"the account's Deny":              {onResource("Deny", `{"AWS":"arn:aws:iam::123456789012:root"}`), everything, Caller{ARN: user}, "resource"},
		"another account's Deny":          {onResource("Deny", `{"AWS":"arn:aws:iam::210987654321:root"}`), everything, Caller{ARN: user}, "allowed"},
		"the resource's Deny":             {onResource("Deny", `"*"`), everything, Caller{ARN: user}, "resource"},
		"the resource's Deny, no own":     {onResource("Deny", `{"AWS":"*"}`), nil, Caller{ARN: user}, "resource"},
		"the own Deny":                    {onResource("Allow", `"*"`), denying, Caller{ARN: user}, "identity"},
		"a service":                       {onResource("Allow", `{"Service":"events.amazonaws.com"}`), nil, Caller{Service: events}, "allowed"},
		"another service":                 {onResource("Allow", `{"Service":["sns.amazonaws.com"]}`), nil, Caller{Service: events}, "implicit"},
		"a service has no own policies":   {onResource("Allow", `{"AWS":"`+user+`"}`), everything, Caller{Service: events}, "implicit"},
		"anonymous":                       {onResource("Allow", `"*"`), nil, Caller{}, "allowed"},
		"anonymous has no own policies":   {onResource("Allow", `{"Service":"events.amazonaws.com"}`), nil, Caller{}, "implicit"},
		"an ARN that reads like a prefix": {onResource("Deny", `{"AWS":"arn:aws:iam::12:root"}`), everything, Caller{ARN: user}, "allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ParseResource([]byte(tc.policy))
			if err != nil {
				t.Fatal(err)
			}
			err = p.Check(tc.own, tc.by, Request{Action: "sqs:SendMessage", Resource: "q"})
			got := "allowed"
			if denied := (*DeniedError)(nil); errors.As(err, &denied) {
				got = map[bool]string{false: "implicit", true: "identity"}[denied.Explicit]
				if denied.ByResource {
					got = "resource"
				}
			}
			if got != tc.want {
				t.Errorf("%s: %v; want %s", got, err, tc.want)
			}
		})
	}
}

// TestPrincipalIsAWSService: the key is true of a service in its own name, false of whoever has credentials, and missing otherwise; nobody can say
// it themselves.
func TestPrincipalIsAWSService(t *testing.T) {
	policyOf := func(operator string) *Resource {
		p, err := ParseResource([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"},
			{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"` + operator + `":{"aws:PrincipalIsAWSService":"false"}}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, tc := range map[string]struct {
		by             Caller
		plain, ifThere bool // whether Bool and BoolIfExists let it in
	}{
		"a service": {Caller{Service: "events.amazonaws.com"}, true, true},
		"a user":    {Caller{ARN: "arn:aws:iam::123456789012:user/a"}, false, false},
		"anonymous": {Caller{}, true, false},
	} {
		for operator, want := range map[string]bool{"Bool": tc.plain, "BoolIfExists": tc.ifThere} {
			said := map[string][]string{"aws:SourceAccount": {"123456789012"}}
			if tc.by != (Caller{}) {
				said["aws:PrincipalIsAWSService"] = []string{"true"}
			}
			if err := policyOf(operator).Check(nil, tc.by, Request{Action: "sqs:SendMessage", Resource: "q", Context: said}); (err == nil) != want {
				t.Errorf("%s, %s: %v", name, operator, err)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no principal":         statementOf("Allow", `"a:b"`, `"*"`, `{}`),
		"NotPrincipal":         `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*","NotPrincipal":"*"}]}`,
		"a federated one":      onResource("Allow", `{"Federated":"x"}`),
		"an account's number":  onResource("Allow", `{"AWS":"123456789012"}`),
		"a principal as text":  onResource("Allow", `"arn:aws:iam::1:root"`),
		"a principal's number": onResource("Allow", `1`),
	} {
		if _, err := ParseResource([]byte(text)); err == nil {
			t.Errorf("%s: it was read as a resource's policy", name)
		}
	}
	for name, text := range map[string]string{
		"not JSON":          `{`,
		"an old version":    `{"Version":"2008-10-17","Statement":[]}`,
		"an effect":         statementOf("Maybe", `"a:b"`, `"*"`, `{}`),
		"no action":         statementOf("Allow", `[]`, `"*"`, `{}`),
		"no resource":       `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b"}]}`,
		"NotAction":         `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"a:b","Resource":"*"}]}`,
		"a principal":       `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*","Principal":"*"}]}`,
		"an operator":       statementOf("Allow", `"a:b"`, `"*"`, `{"NumericEquals":{"k":"1"}}`),
		"a variable":        statementOf("Allow", `"a:b"`, `"${aws:username}"`, `{}`),
		"a variable in key": statementOf("Allow", `"a:b"`, `"*"`, `{"StringEquals":{"k":"${aws:username}"}}`),
		"Null of two":       statementOf("Allow", `"a:b"`, `"*"`, `{"Null":{"k":["true","false"]}}`),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(text)); err == nil {
				t.Error("it was read")
			}
		})
	}
}

// TestLikeIsItsDefinition: a pattern matches a text if and only if the text comes of it by filling in its wildcards.
func TestLikeIsItsDefinition(t *testing.T) { rapid.Check(t, likeProperty(like)) }

func TestLikeIsItsDefinition_catches(t *testing.T) {
	greedy := func(pattern, text string) bool { // a star that never gives back what it took
		before, after, starred := strings.Cut(pattern, "*")
		return pattern == text || starred && strings.HasPrefix(text, before) && strings.HasSuffix(text, strings.ReplaceAll(after, "*", ""))
	}
	found := false
	for seed := range 2000 {
		pattern := rapid.StringMatching(`[ab*?]{0,6}`).Example(seed)
		text := rapid.StringMatching(`[ab]{0,6}`).Example(seed + 1)
		found = found || greedy(pattern, text) != slow(pattern, text)
	}
	if !found {
		t.Error("no example tells the planted matcher from the definition")
	}
}

func likeProperty(match func(pattern, text string) bool) func(*rapid.T) {
	return func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?]{0,7}`).Draw(t, "pattern")
		text := rapid.StringMatching(`[ab]{0,7}`).Draw(t, "text")
		if got, want := match(pattern, text), slow(pattern, text); got != want {
			t.Fatalf("%q matches %q: %v; want %v", pattern, text, got, want)
		}
	}
}

// slow is the definition, letter by letter.
func slow(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		return slow(pattern[1:], text) || text != "" && slow(pattern, text[1:])
	case text == "":
		return false
	}
	return (pattern[0] == '?' || pattern[0] == text[0]) && slow(pattern[1:], text[1:])
}
