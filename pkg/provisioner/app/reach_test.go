package app

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

// TestReach: while AWS cannot be reached the process says why, lives and is not ready; then it goes on, and leaves the probes' address free.
func TestReach(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	var said []string
	log := funcr.New(func(_, text string) { said = append(said, text) }, funcr.Options{})
	r := reach{probes: address, log: log, first: time.Millisecond, last: 2 * time.Millisecond}
	calls := 0
	err = r.until(t.Context(), func(context.Context) error {
		switch calls++; calls {
		case 1:
			return errors.New("no credentials")
		case 2:
			if status, _ := ask(t, address, "/healthz"); status != http.StatusOK {
				t.Errorf("healthz: %d", status)
			}
			if status, text := ask(t, address, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "no credentials") {
				t.Errorf("readyz: %d %s", status, text)
			}
			return errors.New("denied")
		case 3:
			if _, text := ask(t, address, "/readyz"); !strings.Contains(text, "denied") {
				t.Errorf("readyz tells an old reason: %s", text)
			}
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
	if all := strings.Join(said, "\n"); !strings.Contains(all, "no credentials") || !strings.Contains(all, "IAM role") || len(said) != 3 {
		t.Errorf("said:\n%s", all)
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the address is not free: %v", err)
	}
	again.Close()
}

// TestReachEnds: an end that was asked for is not waited for.
func TestReachEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := reach{probes: "0", log: logr.Discard(), first: time.Hour, last: time.Hour}
	if err := r.until(ctx, func(context.Context) error { cancel(); return errors.New("no") }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func ask(t *testing.T, address, path string) (status int, text string) {
	t.Helper()
	answer, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
