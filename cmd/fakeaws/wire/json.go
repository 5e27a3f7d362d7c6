package wire

import (
	"cmp"
	"encoding/json"
	"net/http"
	"path"
	"strings"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// jsonAction answers the response's body.
type jsonAction func(*Server, *http.Request, []byte) (any, error)

// jsonService is the first half of X-Amz-Target.
type jsonService string

func (s jsonService) actions() map[string]jsonAction {
	switch s {
	case "AmazonSQS":
		return map[string]jsonAction{
			"ChangeMessageVisibility": decoded((*Server).changeMessageVisibility),
			"DeleteMessage":           decoded((*Server).deleteMessage),
			"DeleteMessageBatch":      decoded((*Server).deleteMessageBatch),
			"GetQueueAttributes":      decoded((*Server).getQueueAttributes),
			"GetQueueUrl":             decoded((*Server).getQueueURL),
			"ReceiveMessage":          decoded((*Server).receiveMessage),
			"SendMessage":             decoded((*Server).sendMessage),
		}
	case "AmazonSSM":
		return map[string]jsonAction{"GetParameter": decoded((*Server).getParameter), "GetParameters": decoded((*Server).getParameters)}
	case "AWSEvents":
		return map[string]jsonAction{"DescribeRule": decoded((*Server).describeRule), "ListRuleNamesByTarget": decoded((*Server).listRuleNamesByTarget)}
	case "ServiceQuotasV20190624":
		return map[string]jsonAction{"GetServiceQuota": decoded((*Server).getServiceQuota)}
	case "AWSPriceListService":
		return map[string]jsonAction{"GetProducts": decoded((*Server).getProducts)}
	}
	return nil
}

// decoded makes an action of a function that takes its input as a value.
func decoded[In any](run func(*Server, *http.Request, In) (any, error)) jsonAction {
	return func(s *Server, r *http.Request, body []byte) (any, error) {
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, badRequest("SerializationException", "%v", err)
		}
		return run(s, r, in)
	}
}

// serveJSON serves SQS, SSM, Pricing, EventBridge and Service Quotas: JSON comes and goes.
func (s *Server) serveJSON(w http.ResponseWriter, r *http.Request, service jsonService, action string, body []byte) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	answer, err := s.runJSON(r, service, action, body)
	if err != nil {
		e := jsonDialect.read(err)
		if e.code == queueMissing {
			// SQS has spoken XML before: its clients know the error by its older name as well.
			w.Header().Set("X-Amzn-Query-Error", "AWS.SimpleQueueService.NonExistentQueue;Sender")
		}
		writeJSONError(w, e)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) runJSON(r *http.Request, service jsonService, action string, body []byte) (any, error) {
	run := service.actions()[action]
	if run == nil || service == "AWSPriceListService" && !s.Pricing {
		return nil, badRequest("UnknownOperationException", "%s.%s is not played by fakeaws", service, action)
	}
	finish, err := s.Cloud.Admit(sim.Call{Name: action})
	if err != nil {
		return nil, err
	}
	var answer any
	if err = s.authorize(s.policyOf(r), s.jsonRequests(service, action, body)); err == nil {
		answer, err = run(s, r, body)
	}
	if err != nil {
		finish(err.Error())
	}
	return answer, err
}

// jsonRequests answers what a call of a service that speaks JSON comes to.
func (s *Server) jsonRequests(service jsonService, action string, body []byte) []policy.Request {
	var in struct {
		QueueName, QueueUrl, Name string
		Names                     []string
	}
	_ = json.Unmarshal(body, &in) // a body of another form is refused by the action
	var requests []policy.Request
	switch service {
	case "AmazonSQS":
		queue := cmp.Or(in.QueueName, path.Base(in.QueueUrl))
		requests = []policy.Request{{Action: "sqs:" + strings.TrimSuffix(action, "Batch"), Resource: s.arn("sqs", s.Cloud.Region(), queue)}}
	case "AmazonSSM":
		for _, name := range append(in.Names, in.Name) {
			resource := s.arn("ssm", s.Cloud.Region(), "parameter/"+strings.TrimPrefix(name, "/"))
			if strings.HasPrefix(name, "/aws/") { // public ones belong to no account
				resource = "arn:aws:ssm:" + s.Cloud.Region() + "::parameter" + name
			}
			if name != "" {
				requests = append(requests, policy.Request{Action: "ssm:" + action, Resource: resource})
			}
		}
	case "AWSEvents":
		requests = []policy.Request{{Action: "events:" + action, Resource: "*"}}
		if in.Name != "" {
			requests[0].Resource = s.arn("events", s.Cloud.Region(), "rule/"+in.Name)
		}
	case "ServiceQuotasV20190624":
		requests = []policy.Request{{Action: "servicequotas:" + action, Resource: "*"}}
	case "AWSPriceListService":
		requests = []policy.Request{{Action: "pricing:" + action, Resource: "*"}}
	}
	return requests
}
