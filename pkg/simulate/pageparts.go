package simulate

func (w *pageWriter) nodes(p *page) {
	if len(p.Drawn) > 0 {
		w.put("<h2>Nodes to launch <small>%d, identical ones drawn once</small></h2>\n"+`<div class="tools"><input id="filter" type="search" `+
			`placeholder="Filter by type, zone, market or workload" aria-label="Filter nodes"><span class="sub" id="shown"></span></div>`+"\n"+
			`<div class="nodes" id="nodes">`+"\n", p.Summary.Nodes)
		for i := range p.Drawn {
			w.node(&p.Drawn[i])
		}
		w.static("</div>\n" + `<div class="key"><span><i class="dot free"></i>free GPU</span>`)
		if len(p.There) > 0 {
			w.static(`<span><i class="dot taken"></i>GPU of other pods</span>`)
		}
		w.static(`<span><i class="dot" style="background:var(--accent)"></i>CPU and memory of these pods</span>` +
			`<span><i class="dot" style="background:var(--daemon)"></i>of DaemonSets</span></div>` + "\n")
	}
	if len(p.There) > 0 {
		w.put("<h2>Places on what is there <small>%s</small></h2>\n"+`<div class="nodes">`+"\n", plural(p.Summary.OnExisting, "pod"))
		for i := range p.There {
			w.node(&p.There[i])
		}
		w.static("</div>\n")
	}
}

func (w *pageWriter) node(d *drawnNode) {
	class, title := "node", d.InstanceType
	if d.Copies > 1 {
		class += " many"
	}
	if d.Name != "" {
		class, title = class+" there", d.Name
	}
	w.put(`<article class="%s" data-codes="%s" data-copies="%d" data-text="%s">`+"\n<header>", class, d.Codes, d.Copies, d.Text)
	if d.Copies > 1 {
		w.put(`<span class="times">×%d</span>`, d.Copies)
	}
	w.put("<b>%s</b>", title)
	if d.Each != "" {
		w.put(`<span class="price" title="%s">%s/h</span>`, d.Why, d.All)
	}
	w.static("</header>\n<p>")
	w.place(d)
	w.put("</p>\n"+`<div class="gpus" role="img" aria-label="%d of %d GPUs used">`, d.GPU.Used, d.GPU.Count)
	for _, b := range d.Blocks {
		switch b.Kind {
		case "pod":
			w.put(`<span class="g c%d p%d" style="--s:%d" title="%s: a pod of %s"><b>%s</b></span>`, b.Colour, b.Pattern, b.Span, b.Name,
				plural(int(b.Span), "GPU"), b.Code)
		case "taken":
			w.static(`<span class="g taken" style="--s:1" title="used by other pods"></span>`)
		default:
			w.static(`<span class="g free" style="--s:1" title="free"></span>`)
		}
	}
	w.static("</div>\n")
	if d.Name == "" {
		w.static(`<div class="bars">`)
		w.bar("CPU", d.CPU)
		w.bar("Mem", d.RAM)
		w.static("</div>\n")
	}
	w.static("</article>\n")
}

// place says where a node is and what it has.
func (w *pageWriter) place(d *drawnNode) {
	words := []string{d.Zone, d.Market, d.GPU.Name}
	if d.Name != "" {
		words = []string{d.InstanceType, d.Zone, d.GPU.Name}
	}
	if d.OnItsWay {
		words = append(words, "on its way")
	}
	if d.Copies > 1 {
		words = append(words, d.Each+" each")
	}
	before := ""
	for _, word := range words {
		if word != "" {
			w.put("%s%s", before, word)
			before = " · "
		}
	}
}

func (w *pageWriter) bar(name string, b bar) {
	w.put(`<span>%s</span><span class="fill" title="%s"><i class="d" style="width:%d%%"></i><i class="p" style="width:%d%%"></i></span>`,
		name, b.Text, b.Daemons, b.Pods)
}

func (w *pageWriter) kinds(rows []kindRow) {
	if len(rows) == 0 {
		return
	}
	w.static(`<h2>By instance type</h2>` + "\n" + `<div class="panel"><table class="kinds"><thead><tr><th>Type</th><th>Market</th><th>GPU</th>` +
		`<th class="n">Nodes</th><th class="n">GPUs used</th><th class="n">Per hour</th><th class="share"></th><th class="z">Zones</th></tr></thead><tbody>` + "\n")
	for _, k := range rows {
		w.put(`<tr><td>%s</td><td>%s</td><td>%s</td><td class="n">%d</td><td class="n">%d of %d</td><td class="n">%s</td>`+
			`<td class="share"><i style="width:%.1f%%"></i></td><td class="z">%s</td></tr>`+"\n",
			k.Type, k.Market, k.GPU, k.Nodes, k.Used, k.GPUs, k.Cost, k.Share, k.Zones)
	}
	w.static("</tbody></table></div>\n")
}

func (w *pageWriter) heldRows(p *page) {
	if len(p.HeldRows) == 0 {
		return
	}
	w.put("<h2>Held pods <small>%d stay pending</small></h2>\n"+`<div class="panel"><table class="held"><thead><tr><th>Workload</th><th class="n">Pods</th>`+
		`<th class="n">GPUs each</th><th>Reason</th><th>What is in the way, and the remedy</th></tr></thead><tbody>`+"\n", p.Summary.Held)
	for _, h := range p.HeldRows {
		w.put(`<tr><td><span class="w"><span class="sw c%d p%d">%s</span>%s</span></td><td class="n" data-name="pods:">%d</td>`+
			`<td class="n" data-name="GPUs each:">%d</td><td class="reason">%s</td><td>%s`,
			h.Colour, h.Pattern, h.Code, h.Workload, h.Pods, h.HeldPods.GPUs, h.Reason, h.Message)
		if further := h.Further(); len(further) > 0 {
			w.static("<ul>")
			for _, m := range further {
				w.put("<li>%s in %s (%s, $%s/h) would do", m.InstanceType, m.Zone, m.Market, m.PricePerHour)
				for i, c := range m.Changes {
					if i > 0 {
						w.static(" and")
					}
					w.put(" if %s", c)
				}
				w.static("</li>")
			}
			w.static("</ul>")
		}
		w.static("</td></tr>\n")
	}
	w.static("</tbody></table></div>\n")
}

// rest lists what is not drawn.
func (w *pageWriter) rest(p *page) {
	if r := p.Replay; r != nil && len(r.Differences) > 0 {
		w.static("<h2>Differences from the recorded decision</h2>\n" +
			`<div class="panel"><table><thead><tr><th>Where</th><th>Recorded</th><th>Today</th></tr></thead><tbody>` + "\n")
		for _, d := range r.Differences {
			w.put("<tr><td>%s</td><td>%s</td><td>%s</td></tr>\n", d.Path, d.Recorded, d.Today)
		}
		w.static("</tbody></table>")
		if r.More > 0 {
			w.put(`<p class="sub">and %d more</p>`, r.More)
		}
		w.static("</div>\n")
	}
	begin := func(n int, title string) {
		if n > 0 {
			w.put("<h2>%s</h2>\n"+`<ul class="list">`, title)
		}
	}
	end := func(n int) {
		if n > 0 {
			w.static("</ul>\n")
		}
	}
	begin(len(p.NotConsidered), "Not Slipway's business")
	for _, n := range p.NotConsidered {
		w.put("<li>%s: %s (%s)</li>\n", n.Workload, plural(n.Pods, "pod"), n.Why)
	}
	end(len(p.NotConsidered))
	begin(len(p.Skipped), "Skipped")
	for _, s := range p.Skipped {
		w.put("<li>%s: %s</li>\n", s.Object, s.Why)
	}
	end(len(p.Skipped))
	begin(len(p.Assumptions), "Assumed")
	for _, a := range p.Assumptions {
		w.put("<li>%s</li>\n", a)
	}
	end(len(p.Assumptions))
}
