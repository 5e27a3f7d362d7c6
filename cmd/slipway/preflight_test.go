package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/slipway-sh/slipway/pkg/preflight"
)

// TestControllersFlagsHold: in the controller's container preflight looks at what the controller uses.
func TestControllersFlagsHold(t *testing.T) {
	for name, tc := range map[string]struct {
		cmdline string
		given   []string
		want    map[string]string
	}{
		"the controller's": {"/slipway\x00controller\x00--cluster-name=prod\x00--interruption-queue=q\x00--isolated-vpc\x00--log-level\x00debug\x00", nil,
			map[string]string{"cluster-name": "prod", "interruption-queue": "q", "isolated-vpc": "true"}},
		"what is given goes first": {"/slipway\x00controller\x00--cluster-name=prod\x00--region=eu-west-1\x00", []string{"--cluster-name=dev", "--output=json"},
			map[string]string{"cluster-name": "dev", "region": "eu-west-1", "output": "json"}},
		"another program": {"/sbin/init\x00controller\x00--cluster-name=prod\x00", nil, map[string]string{}},
		"another command": {"/slipway\x00views\x00--cluster-name=prod\x00", nil, map[string]string{}},
		"a kernel's":      {"", nil, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "cmdline")
			if err := os.WriteFile(file, []byte(tc.cmdline), 0o600); err != nil {
				t.Fatal(err)
			}
			flags := preflightCommand().Flags()
			if err := flags.Parse(tc.given); err != nil {
				t.Fatal(err)
			}
			if err := adopt(flags, controllerArguments(file)); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			flags.Visit(func(f *pflag.Flag) { got[f.Name] = f.Value.String() })
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("flags (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPreflightOutput looks at an endpoint where nobody listens: it says so in both forms, and ends with an error.
func TestPreflightOutput(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKID",
		"AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_MAX_ATTEMPTS": "1", "KUBECONFIG": none} {
		t.Setenv(name, value)
	}
	run := func(args ...string) (string, error) {
		cmd := preflightCommand()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"--cluster-name=prod"}, args...))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	text, err := run()
	if err == nil || !strings.Contains(err.Error(), "2 of 3 checks fail") {
		t.Errorf("it ends with %v", err)
	}
	for _, want := range []string{"FAIL  credentials: ", "; remedy: give the pod its role", "FAIL  Kubernetes: "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	document, err := run("-o", "json", "--without-cluster")
	if err == nil {
		t.Error("it ends well")
	}
	var got struct {
		Status preflight.Status
		Checks []preflight.Result
	}
	if err := json.Unmarshal([]byte(document), &got); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	if got.Status != preflight.Fail || len(got.Checks) != 2 || got.Checks[0].Check != "credentials" || got.Checks[0].Remedy == "" {
		t.Errorf("got %+v", got)
	}
	for _, args := range [][]string{{"-o", "xml"}, {"-f", none}, {"--cluster-name="}} {
		if _, err := run(args...); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
