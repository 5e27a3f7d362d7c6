package wire

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// Namespaces and API versions of the query services.
const (
	ec2Namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"
	iamNamespace = "https://iam.amazonaws.com/doc/2010-05-08/"
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
)

// queryAction answers what stands inside the response element.
type queryAction func(*Server, *form) ([]element, error)

func ec2Actions() map[string]queryAction {
	return map[string]queryAction{
		"CreateTags":                    (*Server).createTags,
		"CreateLaunchTemplate":          (*Server).createLaunchTemplate,
		"DeleteLaunchTemplate":          (*Server).deleteLaunchTemplate,
		"DescribeAvailabilityZones":     (*Server).describeAvailabilityZones,
		"DescribeImages":                (*Server).describeImages,
		"DescribeInstances":             (*Server).describeInstances,
		"DescribeInstanceTypeOfferings": (*Server).describeInstanceTypeOfferings,
		"DescribeInstanceTypes":         (*Server).describeInstanceTypes,
		"DescribeLaunchTemplates":       (*Server).describeLaunchTemplates,
		"DescribeSecurityGroups":        (*Server).describeSecurityGroups,
		"DescribeSpotPriceHistory":      (*Server).describeSpotPriceHistory,
		"DescribeSubnets":               (*Server).describeSubnets,
		"RunInstances":                  (*Server).runInstances,
		"TerminateInstances":            (*Server).terminateInstances,
	}
}

func iamActions() map[string]queryAction {
	return map[string]queryAction{
		"AddRoleToInstanceProfile":      (*Server).addRoleToInstanceProfile,
		"CreateInstanceProfile":         (*Server).createInstanceProfile,
		"DeleteInstanceProfile":         (*Server).deleteInstanceProfile,
		"GetInstanceProfile":            (*Server).getInstanceProfile,
		"GetRole":                       (*Server).getRole,
		"RemoveRoleFromInstanceProfile": (*Server).removeRoleFromInstanceProfile,
		"TagInstanceProfile":            (*Server).tagInstanceProfile,
	}
}

// serveQuery serves EC2, IAM and STS: a form comes, XML goes.
func (s *Server) serveQuery(w http.ResponseWriter, r *http.Request, body []byte) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		s.writeQueryError(w, scope(r), badRequest("MalformedQueryString", "%v", err))
		return
	}
	f := parseForm(values)
	service, action := scope(r), f.get("Action")
	if service == "" {
		s.writeQueryError(w, service, apiError{http.StatusForbidden, "MissingAuthenticationToken", "The request carries no signature."})
		return
	}
	kids, err := s.query(s.policyOf(r), service, action, f)
	if errors.Is(err, sim.ErrReplyLost) {
		s.Log.Info("losing a reply", "action", action)
		panic(http.ErrAbortHandler) // net/http's way to break the connection
	}
	if err != nil {
		s.writeQueryError(w, service, err)
		return
	}
	writeXML(w, http.StatusOK, respond(service, action, w.Header().Get("X-Amzn-Requestid"), kids))
}

// query runs an action of a service.
func (s *Server) query(allowed *policy.Set, service, action string, f *form) (kids []element, err error) {
	var run queryAction
	switch service {
	case "ec2":
		if action == "CreateFleet" {
			return s.createFleet(allowed, f)
		}
		run = ec2Actions()[action]
	case "iam":
		run = iamActions()[action]
	case "sts":
		run = map[string]queryAction{"GetCallerIdentity": (*Server).getCallerIdentity}[action]
	}
	if run == nil {
		return nil, badRequest("InvalidAction", "The action %s is not valid for this web service: fakeaws does not play it for %q.", action, service)
	}
	finish, err := s.Cloud.Admit(sim.Call{Name: action})
	if err != nil {
		return nil, err
	}
	if err = s.authorize(allowed, s.queryRequests(service, action, f)); err == nil {
		kids, err = s.runQuery(service, run, f)
	}
	if err != nil {
		finish(err.Error())
	}
	return kids, err
}

// errDryRun is EC2's answer to a call with DryRun that it would have done.
var errDryRun = apiError{http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."}

func (s *Server) runQuery(service string, run queryAction, f *form) ([]element, error) {
	if service == "ec2" && f.get("DryRun") == "true" {
		if ids := f.texts("InstanceId"); len(ids) > 0 {
			if err := checkIDs(ids, s.Cloud.Machines()); err != nil {
				return nil, err
			}
		}
		return nil, errDryRun
	}
	return run(s, f)
}

// respond puts what an action answered into the envelope of its service.
func respond(service, action, requestID string, kids []element) string {
	if service == "ec2" {
		return with(action+"Response", append([]element{text("requestId", requestID)}, kids...)...).document(ec2Namespace)
	}
	namespace := iamNamespace
	if service == "sts" {
		namespace = stsNamespace
	}
	return with(action+"Response", with(action+"Result", kids...),
		with("ResponseMetadata", text("RequestId", requestID))).document(namespace)
}

func (s *Server) writeQueryError(w http.ResponseWriter, service string, err error) {
	id := w.Header().Get("X-Amzn-Requestid")
	if service == "iam" || service == "sts" {
		e := queryDialect.read(err)
		writeXML(w, e.status, with("ErrorResponse", with("Error", text("Type", "Sender"), text("Code", e.code), text("Message", e.message)),
			text("RequestId", id)).document(""))
		return
	}
	e := ec2Dialect.read(err)
	s.Log.Debug("refusing", "code", e.code, "message", e.message)
	writeXML(w, e.status, with("Response", with("Errors", with("Error", text("Code", e.code), text("Message", e.message))),
		text("RequestID", id)).document(""))
}

func writeXML(w http.ResponseWriter, status int, document string) {
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(document)) // the client has gone: nobody is left to tell
}
