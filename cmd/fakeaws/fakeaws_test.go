package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

func TestParseOptions(t *testing.T) {
	o, err := parseOptions([]string{"--boot=20s-40s", "--join=5s", "--cluster-name=ml", "--pricing=false", "--stock=3"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if sim.Delay(o.boot) != (sim.Delay{Base: 20 * time.Second, Jitter: 20 * time.Second}) || sim.Delay(o.join) != (sim.Delay{Base: 5 * time.Second}) ||
		o.queue != "ml" || o.pricing || o.stock != 3 {
		t.Errorf("got %+v", o)
	}
	for args, want := range map[string]string{
		"--boot=40s-20s": "must go up", "--boot=soon": "want a duration", "--stock=0": "--stock is 0", "--tick=0": "--tick must be above zero",
		"extra": "everything is a flag", "--nothing": "not defined", "--in-cluster --kubeconfig=k": "name two clusters",
	} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want an error that says %q", args, err, want)
		}
	}
	if _, err := parseOptions([]string{"--help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: got %v", err)
	}
}

func TestRunServesUntilItIsToldToStop(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("stockout g5.* for 5m # everywhere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := parseOptions([]string{"--url-file=" + filepath.Join(dir, "url"), "--script=" + script, "--types=g5.*", "--zones=us-east-1a"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, o, t.Output()) }()
	var url string
	for deadline := time.Now().Add(20 * time.Second); url == ""; {
		if time.Now().After(deadline) {
			t.Fatal("no URL was written in 20 s")
		}
		if text, err := os.ReadFile(o.urlFile); err == nil {
			url = strings.TrimSpace(string(text))
		}
		<-time.After(5 * time.Millisecond)
	}
	response, err := http.Get(url + "/_fake/journal")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var journal wire.Journal
	if err := json.NewDecoder(response.Body).Decode(&journal); err != nil || len(journal.Instances) != 0 {
		t.Errorf("the journal is %+v, %v", journal, err)
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it did not end")
	}
}

func TestRunRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"nothing is offered":     {"--region=xx-nowhere-1"},
		"reading the script":     {"--script=/does/not/exist"},
		"reading the kubeconfig": {"--kubeconfig=/does/not/exist"},
		"that this pod is in":    {"--in-cluster"},
		"--log-level":            {"--log-level=loud"},
		"listening":              {"--listen=256.0.0.1:0"},
	} {
		o, err := parseOptions(args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context(), o, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v; want an error that says %q", args, err, want)
		}
	}
}
