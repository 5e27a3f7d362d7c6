package inventory

import (
	"cmp"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

const (
	// arrivalHalfLife is how long ago an arrival counts half: long against the horizon that is planned for, short against a day.
	arrivalHalfLife = time.Hour
	// arrivalBurst is how many pods of a class within burstWithin are a burst: a Job, a Deployment that grows. They are packed as they are when
	// they come; to leave room for the next one on every small node costs more than it is worth.
	arrivalBurst = 4
	burstWithin  = time.Second
	// maxClasses bounds the classes that are remembered; the rarest are forgotten first.
	maxClasses = 256
	// leastPerHourMilli is the rate below which a class is forgotten: one pod in a day.
	leastPerHourMilli = 42
	mostPerHourMilli  = 1_000_000_000
)

// Arrivals remembers how often pods of each class come: an exponentially weighted rate. The zero value is ready. Not safe for
// concurrent use.
type Arrivals struct {
	classes map[string]*arrivals
}

// arrivals of one class.
type arrivals struct {
	class  demand.Class
	weight float64 // arrivals, each halved every arrivalHalfLife, at the time at
	at     time.Time
	since  time.Time // when the latest burst began
	burst  int       // pods in it
}

// Came notes that a pod of the class came. Pods are to be told in order of time, as far as that is known.
func (a *Arrivals) Came(class demand.Class, at time.Time) {
	if a.classes == nil {
		a.classes = map[string]*arrivals{}
	}
	s := a.classes[class.Key]
	if s == nil {
		s = &arrivals{class: class, at: at}
		a.classes[class.Key] = s
	}
	if s.burst == 0 || at.Sub(s.since).Abs() > burstWithin {
		s.since, s.burst = at, 0
	}
	s.burst++
	s.weight, s.at = s.weighted(at), at
	switch {
	case s.burst < arrivalBurst:
		s.weight++
	case s.burst == arrivalBurst:
		s.weight = max(0, s.weight-arrivalBurst+1) // those of them that were counted
	}
}

// weighted is the weight at another time.
func (s *arrivals) weighted(at time.Time) float64 {
	return s.weight * math.Exp2(-at.Sub(s.at).Hours()/arrivalHalfLife.Hours())
}

func (s *arrivals) perHourMilli(now time.Time) int64 {
	return int64(min(mostPerHourMilli, s.weighted(now)*math.Ln2/arrivalHalfLife.Hours()*1000))
}

// Classes answers the classes that still come, by Key, and forgets the others.
func (a *Arrivals) Classes(now time.Time) []plan.Arrival {
	var list []plan.Arrival
	for key, s := range a.classes {
		if rate := s.perHourMilli(now); rate >= leastPerHourMilli {
			list = append(list, plan.Arrival{Key: key, Requests: s.class.Requests, Select: s.class.Select, PerHourMilli: rate})
		} else if now.Sub(s.since) > burstWithin {
			delete(a.classes, key)
		}
	}
	slices.SortFunc(list, func(x, y plan.Arrival) int {
		return cmp.Or(cmp.Compare(y.PerHourMilli, x.PerHourMilli), cmp.Compare(x.Key, y.Key))
	})
	for _, rare := range list[min(len(list), maxClasses):] {
		delete(a.classes, rare.Key)
	}
	list = list[:min(len(list), maxClasses)]
	slices.SortFunc(list, func(x, y plan.Arrival) int { return cmp.Compare(x.Key, y.Key) })
	return list
}

// arrived notes the pods that no picture has shown before, in the order in which they were made, and answers what comes how often. After a
// start the pods that are there tell what came. O(GPU pods).
func (m *Mirror) arrived(pods []corev1.Pod, now time.Time) []plan.Arrival {
	seen := make(map[types.UID]struct{}, len(m.known))
	var fresh []*corev1.Pod
	for i := range pods {
		p := &pods[i]
		if !demand.AsksForGPU(p) {
			continue
		}
		seen[p.UID] = struct{}{}
		if _, known := m.known[p.UID]; !known {
			fresh = append(fresh, p)
		}
	}
	m.known = seen
	slices.SortFunc(fresh, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID))
	})
	for _, p := range fresh {
		if class, ok := demand.ClassOf(p); ok {
			m.arrivals.Came(class, p.CreationTimestamp.Time)
		}
	}
	return m.arrivals.Classes(now)
}

// Expected answers how many pods are expected in an hour, bursts not counted.
func Expected(v plan.View) float64 {
	sum := int64(0)
	for _, a := range v.Arrivals {
		sum += a.PerHourMilli
	}
	return float64(sum) / 1000
}
