package record

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

func encoded(t interface{ Fatal(...any) }, r Record) []byte {
	var b bytes.Buffer
	if err := r.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// changed answers what a way through a file does to a View; empty: nothing. Nil and empty lists and maps are the same: a plan treats them
// alike, and JSON tells them apart only where there is no omitempty. What has gone through a file once stays the same to the byte.
func changed(t interface{ Fatal(...any) }, r Record, through func([]byte) []byte) string {
	before := encoded(t, r)
	back, err := Decode(bytes.NewReader(through(before)))
	switch {
	case err != nil:
		return err.Error()
	case !cmp.Equal(r.View, back.View, cmpopts.EquateEmpty()):
		return "the View has changed: " + cmp.Diff(r.View, back.View, cmpopts.EquateEmpty())
	case r.Policy != back.Policy:
		return "the Policy has changed"
	}
	once := encoded(t, back)
	if back, err = Decode(bytes.NewReader(once)); err != nil || !bytes.Equal(once, encoded(t, back)) {
		return "the bytes change each time"
	}
	return ""
}

func same(b []byte) []byte { return b }

// TestAnyViewComesBack draws every field of a View, whatever fields it has.
func TestAnyViewComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Record{Program: "test", Schema: schema(), Decision: json.RawMessage(`{}`)}
		fill(t, reflect.ValueOf(&r.View).Elem(), 0)
		fill(t, reflect.ValueOf(&r.Policy).Elem(), 0)
		if fault := changed(t, r, same); fault != "" {
			t.Fatal(fault)
		}
	})
}

// TestAnyViewComesBack_catches plants what a careless format does to values.
func TestAnyViewComesBack_catches(t *testing.T) {
	r := Record{Program: "test", Schema: schema(), Decision: json.RawMessage(`{}`)}
	r.View = rapid.Custom(drawCluster).Example(1)
	r.View.Offerings[0].PriceMicroUSDPerHour = 1<<60 + 1
	if fault := changed(t, r, same); fault != "" {
		t.Fatalf("the good file: %s", fault)
	}
	bugs := map[string]func(text string) string{
		"times in seconds": func(text string) string { return strings.ReplaceAll(text, ".123456789Z", "Z") },
		"numbers as floats": func(text string) string {
			return strings.ReplaceAll(text, "1152921504606846977", "1152921504606846976")
		},
		"a text is forgotten": func(text string) string { return strings.Replace(text, `"Region":"us-east-1"`, `"Region":""`, 1) },
		"a key is renamed":    func(text string) string { return strings.Replace(text, `"Demands":`, `"Demand":`, 1) },
	}
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			through := func(b []byte) []byte {
				text, err := unpack(bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				broken := bug(string(text))
				if broken == string(text) {
					t.Fatal("the bug changed nothing")
				}
				return []byte(broken)
			}
			if changed(t, r, through) == "" {
				t.Error("not noticed")
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := string(must(unpack(bytes.NewReader(encoded(t, Record{Program: "v1.2.3", Schema: schema(), Decision: json.RawMessage(`{}`)})))))
	for name, tc := range map[string]struct {
		text    string
		want    string
		version bool
	}{
		"no JSON":                    {"apiVersion: v1\n", "no JSON", false},
		"another JSON":               {`{"kind":"List"}`, `its format is ""`, false},
		"a list":                     {`[]`, "no JSON of a recorded View", false},
		"a newer envelope":           {strings.Replace(good, `"version":1`, `"version":2`, 1), "slipway v1.2.3 wrote it in version 2", true},
		"a version of 0":             {strings.Replace(good, `"version":1`, `"version":0`, 1), "its version is 0", false},
		"a field of another version": {strings.Replace(strings.Replace(good, schema(), "beef", 1), `"Region"`, `"Moons":7,"Region"`, 1), `unknown field "Moons"`, true},
		"a field that was mistyped":  {strings.Replace(good, `"Region"`, `"Regoin"`, 1), `unknown field "Regoin"`, false},
		"no decision":                {strings.Replace(good, `"decision":{}`, `"fault":""`, 1), "neither a decision nor a fault", false},
		"cut off":                    {good[:len(good)/2], "no JSON", false},
		"gzip, cut off":              {"\x1f\x8b\x08", "unpacking", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(strings.NewReader(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want an error with %q", err, tc.want)
			}
			if errors.Is(err, ErrVersion) != tc.version {
				t.Errorf("is ErrVersion: %t, want %t: %v", !tc.version, tc.version, err)
			}
		})
	}
}

// A file whose types were others, and whose fields are all known, is read: what it lacks is zero.
func TestDecodeReadsForeign(t *testing.T) {
	text := string(must(unpack(bytes.NewReader(encoded(t, Record{Program: "v0.9", Schema: "older", Decision: json.RawMessage(`{}`)})))))
	r, err := Decode(strings.NewReader(strings.Replace(text, `"Region":"",`, "", 1)))
	if err != nil || !r.Foreign() || r.Program != "v0.9" {
		t.Errorf("got %v, foreign %t, program %q", err, r.Foreign(), r.Program)
	}
}

func TestUnpackIsBounded(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := unpackUpTo(bytes.NewReader(b.Bytes()), 1<<20-1); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file of %d bytes that unpacks to more than allowed: %v", b.Len(), err)
	}
	if _, err := unpackUpTo(bytes.NewReader(b.Bytes()), 1<<20); err != nil {
		t.Error(err)
	}
}

// The fingerprint moves with whatever a file holds, and with nothing else.
func TestFingerprint(t *testing.T) {
	type a struct {
		N int `json:"n"`
	}
	type b struct {
		N int64 `json:"n"`
	}
	type c struct{ L []a }
	type d struct{ L []b }
	prints := map[string]string{}
	for name, kind := range map[string]reflect.Type{"a": reflect.TypeFor[a](), "b": reflect.TypeFor[b](), "c": reflect.TypeFor[c](),
		"d": reflect.TypeFor[d](), "view": reflect.TypeFor[plan.View](), "time": reflect.TypeFor[time.Time]()} {
		print := fingerprint(kind)
		if print != fingerprint(kind) || len(print) != 16 {
			t.Errorf("%s: %q", name, print)
		}
		if other, taken := prints[print]; taken {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		prints[print] = name
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
