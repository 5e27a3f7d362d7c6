package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// The picture: a panel for each family of machines with and without gangs, a line in it for each row, and on the line what the policies paid
// over what Karpenter's did.
const (
	panelWidth, lineHeight  = 430, 20
	labelWidth, panelHeader = 150, 58
	panelGap, sheetTop      = 28, 66
	ink, faint              = "#222", "#ddd"
	blue, orange, grey      = "#0072B2", "#E69F00", "#555" // of Okabe and Ito's palette
)

// panel is a part of the picture.
type panel struct {
	title string
	rows  []result
}

func (r *report) panels() []panel {
	var list []panel
	for _, types := range []string{"L4", "any"} {
		for _, gangs := range []bool{false, true} {
			p := panel{title: map[string]string{"L4": "L4 only (g6, gr6)", "any": "any NVIDIA machine"}[types] + map[bool]string{false: ", single pods", true: ", gangs of 8"}[gangs]}
			for _, res := range r.Rows {
				if res.Types == types && res.Gangs == gangs {
					p.rows = append(p.rows, res)
				}
			}
			if len(p.rows) > 0 {
				list = append(list, p)
			}
		}
	}
	return list
}

// svg draws the report. The same numbers give the same bytes.
func (r *report) svg(w io.Writer) error {
	panels := r.panels()
	low, high := 1.0, 1.0
	most := 0
	for _, p := range panels {
		most = max(most, len(p.rows))
		for _, res := range p.rows {
			low, high = min(low, res.OfKarpenter, res.ofKarpenter(res.Myopic)), max(high, res.OfKarpenter, res.ofKarpenter(res.Myopic))
		}
	}
	s := &sheet{low: math.Floor(low*10) / 10, high: math.Ceil(high*10) / 10}
	height := panelHeader + most*lineHeight + panelGap
	across := min(2, max(1, len(panels)))
	width, total := across*panelWidth+20, sheetTop+(len(panels)+across-1)/max(1, across)*height+10
	s.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="12" role="img">`,
		width, total, width, total)
	s.add(`<rect width="%d" height="%d" fill="#fff"/>`, width, total)
	s.text(20, 26, 15, ink, "start", "What nodes cost over weeks of arrivals, Karpenter's policy = 1")
	s.dot(26, 46, blue)
	s.text(36, 50, 12, ink, "start", "Slipway")
	s.dot(106, 46, orange)
	s.text(116, 50, 12, ink, "start", "Slipway without foresight (only the pods that wait)")
	for i, p := range panels {
		s.panel(p, 10+i%across*panelWidth, sheetTop+i/across*height)
	}
	s.add("</svg>")
	_, err := io.WriteString(w, s.b.String())
	return err
}

func (r result) ofKarpenter(o outcome) float64 { return o.Dollars / r.Karpenter.Dollars }

// sheet is what is drawn on.
type sheet struct {
	b         strings.Builder
	low, high float64
}

func (s *sheet) add(format string, args ...any) { fmt.Fprintf(&s.b, format+"\n", args...) }

func (s *sheet) text(x, y, size int, color, anchor, text string) {
	s.add(`<text x="%d" y="%d" font-size="%d" fill="%s" text-anchor="%s">%s</text>`, x, y, size, color, anchor, strings.ReplaceAll(text, "&", "&amp;"))
}

func (s *sheet) dot(x float64, y int, color string) {
	s.add(`<circle cx="%.1f" cy="%d" r="5" fill="%s"/>`, x, y, color)
}

func (s *sheet) panel(p panel, left, top int) {
	begin, end := left+labelWidth, left+panelWidth-30
	at := func(v float64) float64 { return float64(begin) + (v-s.low)/(s.high-s.low)*float64(end-begin) }
	bottom := top + panelHeader - 14 + len(p.rows)*lineHeight
	s.text(left+10, top+14, 13, ink, "start", p.title)
	for v := s.low; v < s.high+0.01; v += 0.1 {
		color := faint
		if math.Abs(v-1) < 0.01 {
			color = grey
		}
		s.add(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s"/>`, at(v), at(v), top+36, bottom, color)
		s.text(int(at(v)+0.5), top+31, 11, grey, "middle", fmt.Sprintf("%.1f", v))
	}
	for i, res := range p.rows {
		y := top + panelHeader - 8 + i*lineHeight
		s.text(begin-8, y+4, 11, ink, "end", fmt.Sprintf("%d s, idle %d s, %s", res.WindowS, res.IdleS, strings.Replace(res.Placement, "first-fit", "first fit", 1)))
		mine, other := at(res.OfKarpenter), at(res.ofKarpenter(res.Myopic))
		s.add(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-width="2"/>`, min(mine, other), max(mine, other), y, y, faint)
		s.dot(other, y, orange)
		s.dot(mine, y, blue)
	}
}
