package aws

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestRegion: the region is the option's, else the environment's, else the machine's.
func TestRegion(t *testing.T) {
	machine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
			fmt.Fprint(w, "token")
		case "/latest/dynamic/instance-identity/document":
			fmt.Fprint(w, `{"region": "eu-north-1"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer machine.Close()
	for name, tc := range map[string]struct {
		option, environment, disabled, want, wantErr string
	}{
		"option":      {option: "us-east-2", environment: "us-west-1", want: "us-east-2"},
		"environment": {environment: "us-west-1", want: "us-west-1"},
		"machine":     {want: "eu-north-1"},
		"nowhere":     {disabled: "true", wantErr: "AWS_REGION"},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range map[string]string{"AWS_REGION": tc.environment, "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": t.TempDir() + "/none",
				"AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.URL, "AWS_EC2_METADATA_DISABLED": tc.disabled} {
				t.Setenv(key, value)
			}
			sdk, err := loadSDK(t.Context(), Config{ClusterName: "c", Region: tc.option})
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got %q, %v; want an error that names %s", sdk.Region, err, tc.wantErr)
				}
				return
			}
			if err != nil || sdk.Region != tc.want {
				t.Errorf("got %q, %v; want %q", sdk.Region, err, tc.want)
			}
		})
	}
}
