package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// apiError is an error as a service answers it.
type apiError struct {
	status  int
	code    string
	message string
}

func (e apiError) Error() string { return e.code + ": " + e.message }

func badRequest(code, format string, args ...any) error {
	return apiError{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

// dialect is the words that a protocol has for what every service can answer.
type dialect struct{ throttled, denied apiError }

var (
	ec2Dialect = dialect{
		throttled: apiError{http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded."},
		denied:    apiError{http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation."},
	}
	queryDialect = dialect{
		throttled: apiError{http.StatusBadRequest, "Throttling", "Rate exceeded"},
		denied:    apiError{http.StatusForbidden, "AccessDenied", "User is not authorized to perform this operation."},
	}
	jsonDialect = dialect{
		throttled: apiError{http.StatusBadRequest, "ThrottlingException", "Rate exceeded"},
		denied:    apiError{http.StatusBadRequest, "AccessDeniedException", "User is not authorized to perform this operation."},
	}
)

// read answers any error as the dialect has it.
func (d dialect) read(err error) apiError {
	var api apiError
	var denied *cloud.DeniedError
	var unauthorized *unauthorizedError
	switch {
	case errors.As(err, &api):
		return api
	case errors.Is(err, cloud.ErrThrottled):
		return d.throttled
	case errors.As(err, &unauthorized):
		e := d.denied
		if e.message = unauthorized.Error(); e.code == "UnauthorizedOperation" {
			e.message = "You are not authorized to perform this operation. " + e.message // only EC2 says it twice
		}
		return e
	case errors.As(err, &denied):
		return d.denied
	case errors.Is(err, sim.ErrOutage):
		return apiError{http.StatusInternalServerError, "InternalError", "An internal error has occurred"}
	}
	return apiError{http.StatusInternalServerError, "InternalFailure", err.Error()}
}

// writeJSONError answers in the form that the JSON and REST-JSON protocols share.
func writeJSONError(w http.ResponseWriter, e apiError) {
	w.Header().Set("X-Amzn-Errortype", e.code)
	writeJSON(w, e.status, map[string]string{"__type": e.code, "message": e.message})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client has gone: nobody is left to tell
}
