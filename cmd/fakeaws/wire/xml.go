package wire

import (
	"encoding/xml"
	"strconv"
	"strings"
	"time"
)

// element is an XML element: with text, or with others inside.
type element struct {
	name string
	text string
	kids []element
}

// with answers an element with others inside.
func with(name string, kids ...element) element { return element{name: name, kids: kids} }

// text answers an element with a text.
func text(name, value string) element { return element{name: name, text: value} }

func number[N int | int32 | int64](name string, n N) element {
	return text(name, strconv.FormatInt(int64(n), 10))
}

func truth(name string, b bool) element { return text(name, strconv.FormatBool(b)) }

func instant(name string, t time.Time) element {
	return text(name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// items answers an EC2 list: each entry is an <item>.
func items[T any](name string, entries []T, render func(T) []element) element {
	list := element{name: name}
	for _, entry := range entries {
		list.kids = append(list.kids, with("item", render(entry)...))
	}
	return list
}

func (e element) write(b *strings.Builder, attributes string) {
	b.WriteString("<" + e.name + attributes + ">")
	_ = xml.EscapeText(b, []byte(e.text)) // a Builder does not fail
	for _, kid := range e.kids {
		kid.write(b, "")
	}
	b.WriteString("</" + e.name + ">")
}

// document renders a response with the service's namespace.
func (e element) document(namespace string) string {
	var b strings.Builder
	b.WriteString(xml.Header)
	attributes := ""
	if namespace != "" {
		attributes = ` xmlns="` + namespace + `"`
	}
	e.write(&b, attributes)
	return b.String()
}
