// Package plot draws line and bar charts as SVG, for the pages in docs. The same numbers give the same bytes, so that a changed picture means
// changed numbers.
//
// It decides nothing and imports the standard library only.
package plot

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Axis is one of the two.
type Axis struct {
	Label string
	Log   bool
	// Min and Max are the ends; both 0: taken from the data (and 0 for a linear axis).
	Min, Max float64
	// Format writes a tick; nil: as few digits as tell it.
	Format func(float64) string
}

// Point is one measured value.
type Point struct{ X, Y float64 }

// Series is a line.
type Series struct {
	Name   string
	Points []Point // by X
	Dashed bool
	Color  int // index into the palette; series that belong together share it
}

// Chart is a drawing of Series over X.
type Chart struct {
	Title  string
	X, Y   Axis
	Series []Series
}

// palette is Okabe and Ito's, which people with any colour vision can tell apart.
var palette = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"}

const (
	width, height                = 900, 420
	left, right, topEdge, bottom = 72, 262, 48, 56
)

// canvas is where on the sheet a value lies.
type canvas struct {
	x, y Axis
	w    io.Writer
	err  error
}

func (c *canvas) print(format string, args ...any) {
	if c.err == nil {
		_, c.err = fmt.Fprintf(c.w, format+"\n", args...)
	}
}

// WriteSVG draws the chart. It fails only where w does.
func (c Chart) WriteSVG(w io.Writer) error {
	s := &canvas{x: c.X, y: c.Y, w: w}
	s.x.fit(c.Series, func(p Point) float64 { return p.X })
	s.y.fit(c.Series, func(p Point) float64 { return p.Y })
	s.open(c.Title)
	s.grid()
	for i, series := range c.Series {
		s.line(series)
		s.legend(i, series)
	}
	s.print("</svg>")
	return s.err
}

func (c *canvas) open(title string) {
	c.print(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="13" role="img">`,
		width, height, width, height)
	c.print(`<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/>`, escape(title))
	c.print(`<text x="%d" y="26" font-size="16" font-weight="600" fill="#111">%s</text>`, left, escape(title))
}

func (c *canvas) grid() {
	for _, v := range c.y.ticks() {
		y := c.atY(v)
		c.print(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`, left, width-right, y, y)
		c.print(`<text x="%d" y="%.1f" text-anchor="end" fill="#444">%s</text>`, left-8, y+4, escape(c.y.text(v)))
	}
	for _, v := range c.x.ticks() {
		x := c.atX(v)
		c.print(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#eee"/>`, x, x, topEdge, height-bottom)
		c.print(`<text x="%.1f" y="%d" text-anchor="middle" fill="#444">%s</text>`, x, height-bottom+18, escape(c.x.text(v)))
	}
	c.print(`<text x="%d" y="%d" text-anchor="middle" fill="#111">%s</text>`, (left+width-right)/2, height-14, escape(c.x.Label))
	c.print(`<text transform="translate(18 %d) rotate(-90)" text-anchor="middle" fill="#111">%s</text>`, (topEdge+height-bottom)/2, escape(c.y.Label))
}

func (c *canvas) line(s Series) {
	var path strings.Builder
	color, dash := palette[s.Color%len(palette)], ""
	if s.Dashed {
		dash = ` stroke-dasharray="6 4"`
	}
	for i, p := range s.Points {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], c.atX(p.X), c.atY(p.Y))
	}
	c.print(`<path d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`, path.String(), color, dash)
	for _, p := range s.Points {
		c.print(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, c.atX(p.X), c.atY(p.Y), color)
	}
}

func (c *canvas) legend(i int, s Series) {
	x, y := width-right+16, topEdge+10+i*20
	dash := ""
	if s.Dashed {
		dash = ` stroke-dasharray="6 4"`
	}
	c.print(`<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="2"%s/>`, x, x+24, y, y, palette[s.Color%len(palette)], dash)
	c.print(`<text x="%d" y="%d" fill="#111">%s</text>`, x+30, y+4, escape(s.Name))
}

func (c *canvas) atX(v float64) float64 { return left + c.x.share(v)*float64(width-right-left) }
func (c *canvas) atY(v float64) float64 {
	return float64(height-bottom) - c.y.share(v)*float64(height-bottom-topEdge)
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// fit sets the ends of an axis from the data, where they are not given.
func (a *Axis) fit(all []Series, of func(Point) float64) {
	if a.Min != 0 || a.Max != 0 {
		return
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range all {
		for _, p := range s.Points {
			low, high = min(low, of(p)), max(high, of(p))
		}
	}
	switch {
	case low > high:
		low, high = 1, 10
	case a.Log:
		low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	default:
		low, high = min(0, low), high*1.05
	}
	if high <= low {
		high = low + 1
	}
	a.Min, a.Max = low, high
}

// share is where a value lies between the ends: 0 to 1.
func (a *Axis) share(v float64) float64 {
	if a.Log {
		return (math.Log10(v) - math.Log10(a.Min)) / (math.Log10(a.Max) - math.Log10(a.Min))
	}
	return (v - a.Min) / (a.Max - a.Min)
}

// ticks answers powers of ten, or about six round values.
func (a *Axis) ticks() []float64 {
	var list []float64
	if a.Log {
		for e := math.Ceil(math.Log10(a.Min) - 1e-9); e <= math.Log10(a.Max)+1e-9; e++ {
			list = append(list, math.Pow(10, e))
		}
		return list
	}
	step := math.Pow(10, math.Floor(math.Log10((a.Max-a.Min)/6)))
	for _, m := range []float64{1, 2, 5, 10} {
		if (a.Max-a.Min)/(step*m) <= 7 {
			step *= m
			break
		}
	}
	for i := math.Ceil(a.Min/step - 1e-9); i*step <= a.Max+step*1e-9; i++ {
		list = append(list, i*step)
	}
	return list
}

func (a *Axis) text(v float64) string {
	switch {
	case a.Format != nil:
		return a.Format(v)
	case v >= 1000 && v == math.Trunc(v):
		s := fmt.Sprintf("%.0f", v)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	default:
		return fmt.Sprintf("%.6g", v)
	}
}
