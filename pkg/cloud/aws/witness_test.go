package aws

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// "Throttled" tells the claim that it has no machine. It must not be said where one may have been launched by an earlier attempt of the
// same call.
func TestThrottledMeansThatNothingHappened(t *testing.T) {
	refuse := func(code string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("<Response><Errors><Error><Code>" + code + "</Code><Message>no</Message></Error></Errors></Response>"))
		}
	}
	throttle := refuse("RequestLimitExceeded")
	lose := func(w http.ResponseWriter) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = c.Close()
		}
	}
	for name, tc := range map[string]struct {
		attempts  []func(http.ResponseWriter) // the last one's answer stands
		throttled bool
	}{
		"each time":                 {[]func(http.ResponseWriter){throttle}, true},
		"after a reply was lost":    {[]func(http.ResponseWriter){throttle, lose, throttle}, false},
		"after an internal error":   {[]func(http.ResponseWriter){refuse("InternalError"), throttle}, false},
		"the first is not done yet": {[]func(http.ResponseWriter){refuse("PriorRequestNotComplete")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var fleets atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch _ = r.ParseForm(); r.Form.Get("Action") {
				case "CreateFleet":
					n := int(fleets.Add(1))
					tc.attempts[min(n, len(tc.attempts))-1](w)
				case "CreateLaunchTemplate":
					_, _ = w.Write([]byte("<CreateLaunchTemplateResponse></CreateLaunchTemplateResponse>"))
				default:
					eksAndThrottle(w, r)
				}
			}))
			defer server.Close()
			endpoint(t, server.URL)
			c, err := New(t.Context(), Config{ClusterName: "prod"})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Fleet.Launch(t.Context(), testRequest())
			if err == nil || errors.Is(err, cloud.ErrThrottled) != tc.throttled || strings.Contains(err.Error(), "may have launched") == tc.throttled {
				t.Errorf("after %d attempts: got %v; want ErrThrottled %v", fleets.Load(), err, tc.throttled)
			}
		})
	}
}
