package sim

import (
	"container/heap"
	"time"
)

// agenda holds what will happen, soonest first; things of the same time happen in the order in which they were planned.
type agenda struct {
	heap    agendaHeap
	ordinal int
}

type agendaItem struct {
	at      time.Time
	ordinal int
	do      func()
}

func (a *agenda) push(at time.Time, do func()) {
	heap.Push(&a.heap, agendaItem{at: at, ordinal: a.ordinal, do: do})
	a.ordinal++
}

func (a *agenda) next() (time.Time, bool) {
	if len(a.heap) == 0 {
		return time.Time{}, false
	}
	return a.heap[0].at, true
}

func (a *agenda) pop() func() { return heap.Pop(&a.heap).(agendaItem).do }

type agendaHeap []agendaItem

func (h agendaHeap) Len() int { return len(h) }

func (h agendaHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].ordinal < h[j].ordinal
}

func (h agendaHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *agendaHeap) Push(x any) { *h = append(*h, x.(agendaItem)) }

func (h *agendaHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = agendaItem{}
	*h = (*h)[:len(*h)-1]
	return last
}
