package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// progress shows what the build is at: on a terminal one line that changes every second, elsewhere (a CI log) a new
// line every ten seconds.
type progress struct {
	out   *os.File
	live  bool // out is a terminal
	begin time.Time
	quit  chan struct{}
	done  chan struct{}
	once  sync.Once

	mu   sync.Mutex
	text string
}

// width is how much of a line is shown: a longer one would wrap and could not be overwritten.
const width = 110

func startProgress(out *os.File) *progress {
	info, err := out.Stat()
	p := &progress{
		out: out, live: err == nil && info.Mode()&os.ModeCharDevice != 0,
		begin: time.Now(), quit: make(chan struct{}), done: make(chan struct{}),
	}
	every := 10 * time.Second
	if p.live {
		every = time.Second
	}
	go p.run(every)
	return p
}

// set changes what is shown next.
func (p *progress) set(format string, arguments ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = fmt.Sprintf(format, arguments...)
}

// stop ends the display, and clears its line; it may be called twice.
func (p *progress) stop() {
	p.once.Do(func() { close(p.quit) })
	<-p.done
}

func (p *progress) run(every time.Duration) {
	defer close(p.done)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-p.quit:
			if p.live {
				fmt.Fprint(p.out, "\r\033[K")
			}
			return
		case <-ticker.C:
			p.print()
		}
	}
}

func (p *progress) print() {
	p.mu.Lock()
	line := fmt.Sprintf("  %6s  %s", time.Since(p.begin).Round(time.Second), p.text)
	p.mu.Unlock()
	line = line[:min(len(line), width)]
	if p.live {
		fmt.Fprint(p.out, "\r\033[K"+line)
		return
	}
	fmt.Fprintln(p.out, line)
}
