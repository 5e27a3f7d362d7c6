package telemetry

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// quiet is how long the same is not said again about the same object. Loops say it every second; a person who looks at
	// `kubectl describe` needs it once per look.
	quiet = 3 * time.Minute
	// noteLimit is the API server's limit on an event's note, in bytes.
	noteLimit = 1024
)

// Sink takes events; the recorder of a manager (GetEventRecorder) is one.
type Sink interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// Events tells users about their objects. The same reason and message about the same object is said at most once in three
// minutes. Methods may be called from many goroutines.
//
// Objects need a name, a namespace if they have one, and a UID. A nil *Events is silent.
type Events struct {
	sink Sink
	now  func() time.Time

	mu    sync.Mutex
	said  map[said]time.Time // until when it is not said again
	sweep time.Time          // when entries that are over are next looked for
}

type said struct {
	object  types.UID
	reason  string
	message string
}

// NewEvents makes Events that go to sink; now is the clock.
func NewEvents(sink Sink, now func() time.Time) *Events {
	return &Events{sink: sink, now: now, said: map[said]time.Time{}}
}

// Eventf implements events.EventRecorder of client-go, for those who have events of their own. related may be nil.
func (e *Events) Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any) {
	about, ok := regarding.(client.Object)
	if e == nil || !ok {
		return
	}
	e.say(about, related, eventtype, reason, action, fmt.Sprintf(note, args...))
}

func (e *Events) normal(about client.Object, reason, action, message string) {
	e.say(about, nil, corev1.EventTypeNormal, reason, action, message)
}

func (e *Events) warn(about client.Object, reason, action, message string) {
	e.say(about, nil, corev1.EventTypeWarning, reason, action, message)
}

func (e *Events) say(about client.Object, related runtime.Object, level, reason, action, message string) {
	if e == nil {
		return
	}
	message = clip(message)
	if e.again(said{about.GetUID(), reason, message}) {
		return
	}
	e.sink.Eventf(about, related, level, reason, action, "%s", message)
}

// again says whether it was said a moment ago, and remembers that it is said now.
func (e *Events) again(s said) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if until, known := e.said[s]; known && now.Before(until) {
		return true
	}
	if !now.Before(e.sweep) {
		for k, until := range e.said {
			if !now.Before(until) {
				delete(e.said, k)
			}
		}
		e.sweep = now.Add(quiet)
	}
	e.said[s] = now.Add(quiet)
	return false
}

// clip shortens a message to the API server's limit for events. Conditions could hold more; they say the same. It leaves whole sentences out,
// and keeps what stands in brackets at the end, the counts of offerings.
func clip(message string) string {
	if len(message) <= noteLimit {
		return message
	}
	const more = " …"
	text, end := message, ""
	if at := strings.LastIndex(message, " ["); strings.HasSuffix(message, "]") && len(message)-at < noteLimit/2 {
		text, end = message[:at], message[at:]
	}
	cut := noteLimit - len(more) - len(end)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	text = text[:cut]
	if whole := max(strings.LastIndex(text, ". ")+1, strings.LastIndex(text, "; ")+1); whole > 0 {
		text = text[:whole]
	}
	return strings.TrimSpace(text) + more + end
}

// clock prints a time as events do: absolute, in UTC, to the second, so that the same event has the same words.
func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func takes(deadline time.Time) string {
	if deadline.IsZero() {
		return "EC2 takes this node soon: save your state"
	}
	return fmt.Sprintf("EC2 takes this node at %s: save your state", clock(deadline))
}
