package wire

import (
	"encoding/json"
	"net/http"

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

// serveJSON serves SQS, SSM and Pricing: JSON comes and goes.
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
	answer, err := run(s, r, body)
	if err != nil {
		finish(err.Error())
	}
	return answer, err
}
