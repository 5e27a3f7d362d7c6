package aws

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// These tests run the real SDK against a small server: what it adds around a call is what is tested. The calls
// themselves are tested against cmd/fakeaws, which knows EC2 better.

const describedCluster = `{"cluster":{"name":"prod","endpoint":"https://api","version":"1.37",
	"certificateAuthority":{"data":"Q0E="},"kubernetesNetworkConfig":{"serviceIpv4Cidr":"10.100.0.0/16"}}}`

// endpoint points the SDK at a server by environment alone, as production does.
func endpoint(t *testing.T, url string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "SECRET",
		"AWS_CONFIG_FILE": filepath.Join(t.TempDir(), "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(t.TempDir(), "none"),
		"AWS_CA_BUNDLE": "", "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1",
	} {
		t.Setenv(name, value)
	}
}

// eksAndThrottle answers EKS's DescribeCluster, and throttles everything else.
func eksAndThrottle(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/clusters/prod") {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(describedCluster))
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow down</Message></Error></Errors><RequestID>r</RequestID></Response>`))
}

func TestNewAsksEKSForWhatIsNotConfigured(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(eksAndThrottle))
	defer server.Close()
	endpoint(t, server.URL)
	c, err := New(t.Context(), Config{ClusterName: "prod", ServiceCIDR: "172.20.0.0/16"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Fleet.cluster.get(t.Context())
	want := cluster{Name: "prod", Endpoint: "https://api", CA: "Q0E=", ServiceCIDR: "172.20.0.0/16", KubernetesVersion: "1.37"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if c.Notices != nil || c.Region != "us-east-1" {
		t.Errorf("got notices %v in region %q; want none in us-east-1", c.Notices, c.Region)
	}
}

func TestACABundleIsHonoured(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(eksAndThrottle))
	defer server.Close()
	endpoint(t, server.URL)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	if _, err := New(t.Context(), Config{ClusterName: "prod"}); err != nil {
		t.Errorf("with AWS_CA_BUNDLE: %v", err)
	}
}

func TestEveryAttemptIsObserved(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(eksAndThrottle))
	defer server.Close()
	endpoint(t, server.URL)
	var mu sync.Mutex
	calls := map[string]int{}
	c, err := New(t.Context(), Config{ClusterName: "prod", OnCall: func(service, operation string, seconds float64, err error) {
		mu.Lock()
		defer mu.Unlock()
		outcome := "ok"
		if err != nil {
			outcome = "error"
		}
		calls[service+" "+operation+" "+outcome]++
		if seconds < 0 {
			t.Errorf("%s took %f seconds", operation, seconds)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fleet.Instances(t.Context()); !errors.Is(err, cloud.ErrThrottled) {
		t.Errorf("got %v, want ErrThrottled", err)
	}
	want := map[string]int{"EKS DescribeCluster ok": 1, "EC2 DescribeInstances error": maxAttempts}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", "ResourceNotFoundException")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"message":"No cluster found"}`))
	}))
	defer server.Close()
	for name, tc := range map[string]struct {
		change func(t *testing.T, c *Config)
		want   string
	}{
		"no name":    {func(_ *testing.T, c *Config) { c.ClusterName = "" }, "say which EKS cluster"},
		"bad CIDR":   {func(_ *testing.T, c *Config) { c.ServiceCIDR = "10.0.0.0" }, "invalid CIDR address"},
		"bad k8s":    {func(_ *testing.T, c *Config) { c.KubernetesVersion = "v1.37.2" }, "not of the form 1.37"},
		"no region":  {func(t *testing.T, _ *Config) { t.Setenv("AWS_REGION", "") }, "set AWS_REGION"},
		"no cluster": {func(*testing.T, *Config) {}, `EKS knows no cluster "prod"`},
		"no credentials": {func(t *testing.T, _ *Config) {
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		}, "no usable AWS credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint(t, server.URL)
			cfg := Config{ClusterName: "prod"}
			tc.change(t, &cfg)
			_, err := New(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}
