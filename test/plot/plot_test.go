package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestWriteSVG(t *testing.T) {
	var b strings.Builder
	c := Chart{Title: "time < money", X: Axis{Label: "pods", Log: true}, Y: Axis{Label: "seconds"}, Series: []Series{
		{Name: "a & b", Points: []Point{{100, 1}, {10000, 3}}}, {Name: "none"},
	}}
	if err := c.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, b.String())
		}
	}
	for _, want := range []string{"time &lt; money", "a &amp; b", "10,000"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in the drawing", want)
		}
	}
}

func TestTicks(t *testing.T) {
	for name, tc := range map[string]struct {
		axis Axis
		want []float64
	}{
		"linear":      {Axis{Min: 0, Max: 6.3}, []float64{0, 1, 2, 3, 4, 5, 6}},
		"not from 0":  {Axis{Min: 1, Max: 2}, []float64{1, 1.2, 1.4, 1.6, 1.8, 2}},
		"logarithmic": {Axis{Min: 0.1, Max: 100, Log: true}, []float64{0.1, 1, 10, 100}},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.axis.ticks()
			near := func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }
			if !slices.EqualFunc(got, tc.want, near) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
