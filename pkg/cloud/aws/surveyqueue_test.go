package aws

import "testing"

// TestAcceptsEvents: a queue's policy is read in every form that SQS takes.
func TestAcceptsEvents(t *testing.T) {
	const events, sends = `"Principal":{"Service":"events.amazonaws.com"}`, `"Action":"sqs:SendMessage"`
	for text, want := range map[string]bool{
		`{"Statement":[{"Effect":"Allow",` + events + `,` + sends + `}]}`:                                                            true,
		`{"Statement":{"Effect":"Allow",` + events + `,` + sends + `}}`:                                                              true,
		`{"Statement":{"Effect":"Deny",` + events + `,` + sends + `}}`:                                                               false,
		`{"Statement":{"Effect":"Allow",` + events + `,"Action":"sqs:ReceiveMessage"}}`:                                              false,
		`{"Statement":[{"Effect":"Allow","Principal":{"Service":["sns.amazonaws.com","events.amazonaws.com"]},"Action":["SQS:*"]}]}`: true,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},` + sends + `}]}`:                                 false,
	} {
		if got, err := acceptsEvents(text); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := acceptsEvents("{"); err == nil {
		t.Error("what is no JSON is taken for a policy")
	}
}
