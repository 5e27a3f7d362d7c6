package cluster

import (
	"fmt"
	"io"
	"sync"
)

// output writes messages whole and one at a time, and none after it is closed: a test's log must not be written to
// once the test is over.
type output struct {
	mu sync.Mutex
	to io.Writer // nil: nobody listens
}

func (o *output) printf(format string, arguments ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to != nil {
		fmt.Fprintf(o.to, format, arguments...)
	}
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.to = nil
}
