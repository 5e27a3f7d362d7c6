package record

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// schema is the fingerprint of what this program's files hold. It follows from the types, so that nobody has to remember to count up
// a version.
var schema = sync.OnceValue(func() string {
	return fingerprint(reflect.TypeFor[plan.View](), reflect.TypeFor[plan.Policy](), reflect.TypeFor[plan.Decision]())
})

// fingerprint is a hash of the names, types and JSON tags of all fields that can be reached. 16 hex digits.
func fingerprint(types ...reflect.Type) string {
	h := sha256.New()
	seen := map[reflect.Type]bool{}
	for _, t := range types {
		describe(h, t, seen)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func describe(w io.Writer, t reflect.Type, seen map[reflect.Type]bool) {
	fmt.Fprintln(w, t.String(), t.Kind())
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		describe(w, t.Elem(), seen)
	case reflect.Map:
		describe(w, t.Key(), seen)
		describe(w, t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() {
				fmt.Fprintln(w, f.Name, f.Tag.Get("json"), f.Anonymous)
				describe(w, f.Type, seen)
			}
		}
	}
}
