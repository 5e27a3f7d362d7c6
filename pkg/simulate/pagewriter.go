package simulate

import (
	"fmt"
	"html"
	"io"
)

// pageWriter writes HTML. What it is given is escaped, so that no name can be more than a name; it keeps the first error. Package
// html/template would do the same, but it calls methods by name, so the linker would keep every method of the program: twice its size.
type pageWriter struct {
	w   io.Writer
	err error
}

// put writes a format whose arguments are escaped: all of them stand in text, or in attributes within double quotation marks.
func (w *pageWriter) put(format string, args ...any) {
	safe := make([]any, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case int, int64, float64:
			safe[i] = v
		default:
			safe[i] = html.EscapeString(fmt.Sprint(v))
		}
	}
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.w, format, safe...)
	}
}

// WritePage writes the Result as one page of HTML that needs nothing from elsewhere, and no script to be read.
func (r *Result) WritePage(out io.Writer) error {
	w, p := &pageWriter{w: out}, r.page()
	w.static(pageHead)
	w.figures(p)
	w.bound(p)
	w.legend(p.Workloads)
	w.nodes(p)
	w.kinds(p.Kinds)
	w.heldRows(p)
	w.rest(p)
	w.static(pageTail)
	if w.err != nil {
		return fmt.Errorf("writing the page: %w", w.err)
	}
	return nil
}

// static writes what is part of the program.
func (w *pageWriter) static(text string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.w, text)
	}
}

func (w *pageWriter) figure(value, of, label string) {
	w.put(`<div class="figure"><b>%s<span>%s</span></b><span>%s</span></div>`+"\n", value, of, label)
}

func (w *pageWriter) figures(p *page) {
	s := &p.Summary
	w.put("<h1>What Slipway would launch</h1>\n"+`<div class="sub">%s · %d pods that wait for a GPU`, p.Region, s.Pods)
	if r := p.Replay; r != nil {
		w.put(" · replay of slipway %s: ", r.Program)
		switch {
		case r.Changed:
			w.static("changed by flags, not compared")
		case r.Same:
			w.static("the same decision")
		default:
			w.static(`<b class="reason">another decision</b>`)
		}
	}
	w.static("</div>\n" + `<section class="figures" aria-label="In numbers">` + "\n")
	w.figure(p.Cost, "", "per hour")
	if p.BoundShare > 0 {
		w.figure(p.Bound, "", "proven lower bound")
		if p.Gap {
			w.figure(fmt.Sprint(*s.GapPercent, " %"), "", "at most above the optimum")
		} else {
			w.figure("optimal", "", "no plan that serves as well is cheaper")
		}
	}
	w.figure(fmt.Sprint(s.GPUsUsed), fmt.Sprintf(" of %d", s.GPUs), fmt.Sprintf("GPUs used (%d %%)", p.UsedShare))
	w.figure(fmt.Sprint(s.Nodes), "", "nodes to launch")
	if s.OnExisting > 0 {
		w.figure(fmt.Sprint(s.OnNewNodes), fmt.Sprintf(" + %d", s.OnExisting), "pods placed: new + on what is there")
	} else {
		w.figure(fmt.Sprint(s.OnNewNodes), "", "pods placed")
	}
	bad := ""
	if s.Held > 0 {
		bad = " bad"
	}
	w.put(`<div class="figure%s"><b>%d</b><span>pods held</span></div>`+"\n</section>\n", bad, s.Held)
}

// bound draws the cost against what is proven to be necessary.
func (w *pageWriter) bound(p *page) {
	if p.BoundShare == 0 {
		return
	}
	w.put(`<section class="panel" aria-label="Cost against the lower bound">`+"\n"+
		`<div class="cost" role="img" aria-label="Of %s per hour, %s are proven to be necessary"><i class="bound" style="width:%.2f%%"></i>`,
		p.Cost, p.Bound, p.BoundShare)
	if p.Gap {
		w.static(`<i class="gap"></i>`)
	}
	w.put("</div>\n"+`<div class="key"><span><i class="dot" style="background:var(--accent)"></i>No plan that serves these pods as well costs less than %s/h</span>`, p.Bound)
	if p.Gap {
		w.put(`<span><i class="dot" style="background:var(--gap)"></i>At most %v %% above the optimum: it lies in this part</span>`, *p.Summary.GapPercent)
	}
	if e := p.Summary.ExpectedPerHour; e != "" {
		w.put("<span>Expected, with interruptions, starts and idle time: $%s/h</span>", e)
	}
	w.static("</div>\n</section>\n")
}

func (w *pageWriter) legend(list []*drawnWorkload) {
	if len(list) == 0 {
		return
	}
	w.put(`<details open="open"><summary><h2>Workloads <small>%d, by GPUs in use</small></h2></summary>`+"\n"+`<ul class="legend" id="legend">`+"\n", len(list))
	for _, d := range list {
		w.put(`<li class="item" data-code="%s"><span class="sw c%d p%d">%s</span><span>%s</span><small>%s · %s`, d.Code, d.Colour, d.Pattern, d.Code,
			d.Name, plural(d.Placed, "pod"), plural(int(d.GPUs), "GPU"))
		if d.Held > 0 {
			w.put(` · <b class="reason">%d held</b>`, d.Held)
		}
		w.static("</small></li>\n")
	}
	w.static("</ul></details>\n")
}
