package record

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

const (
	// format names the files, so that any other JSON is told from one.
	format = "slipway.sh/view"
	// Version of the envelope around a View. What the View itself holds is told by its schema.
	Version = 1
	// maxSize bounds what a file may unpack to, in bytes: a View of 100,000 pods has about 30 MiB.
	maxSize = 1 << 30
)

// ErrVersion: the file was written by a version of Slipway whose Views this one cannot read whole. Half a View would give another decision.
var ErrVersion = errors.New("recorded by another version of Slipway")

// Record is one decision and everything that it was made from.
type Record struct {
	// Program is the version of the program that recorded.
	Program string
	// Schema is a fingerprint of the types of View, Policy and Decision in that program.
	Schema string
	Policy plan.Policy
	View   plan.View
	// Decision is the JSON of the plan.Decision, compact; empty if there is a Fault.
	Decision json.RawMessage
	// Fault is the internal fault for which there was no decision; empty: there was none.
	Fault string
}

// envelope is a Record as it stands in a file.
type envelope struct {
	Format   string          `json:"format"`
	Version  int             `json:"version"`
	Program  string          `json:"program"`
	Schema   string          `json:"schema"`
	Policy   plan.Policy     `json:"policy"`
	View     plan.View       `json:"view"`
	Decision json.RawMessage `json:"decision,omitempty"`
	Fault    string          `json:"fault,omitempty"`
}

// Of makes a Record of a decision that this program made; fault is the error that stood in its place, or nil.
func Of(program string, v plan.View, policy plan.Policy, d plan.Decision, fault error) (Record, error) {
	r := Record{Program: program, Schema: schema(), Policy: policy, View: v}
	if fault != nil {
		r.Fault = fault.Error()
		return r, nil
	}
	var err error
	if r.Decision, err = json.Marshal(d); err != nil {
		return Record{}, fmt.Errorf("writing a decision as JSON: %w", err)
	}
	return r, nil
}

// Foreign tells whether the types of a View, a Policy or a Decision were others in the program that recorded: then another decision is
// not a fault.
func (r *Record) Foreign() bool { return r.Schema != schema() }

// Encode writes the Record as gzipped JSON. Equal Records give equal bytes.
func (r *Record) Encode(w io.Writer) error {
	zipped := gzip.NewWriter(w)
	err := json.NewEncoder(zipped).Encode(envelope{format, Version, r.Program, r.Schema, r.Policy, r.View, r.Decision, r.Fault})
	if err != nil {
		return fmt.Errorf("writing a View as JSON: %w", err)
	}
	return zipped.Close()
}

// Read reads a file that Encode wrote, gzipped or unpacked (by a person, with whatever indentation).
func Read(path string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, fmt.Errorf("reading a recorded View: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	r, err := Decode(f)
	if err != nil {
		return Record{}, fmt.Errorf("reading the View %s: %w", path, err)
	}
	return r, nil
}

// Decode is Read of what is open already. ErrVersion: it takes another version of Slipway to read it.
func Decode(from io.Reader) (Record, error) {
	text, err := unpack(from)
	if err != nil {
		return Record{}, err
	}
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
		Program string `json:"program"`
		Schema  string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return Record{}, fmt.Errorf("it is no JSON of a recorded View: %w", err)
	}
	switch {
	case head.Format != format:
		return Record{}, fmt.Errorf("it is no recorded View: its format is %q, want %q", head.Format, format)
	case head.Version > Version:
		return Record{}, fmt.Errorf("%w: slipway %s wrote it in version %d, this one reads up to %d; replay it with slipway %[2]s",
			ErrVersion, head.Program, head.Version, Version)
	case head.Version < 1:
		return Record{}, fmt.Errorf("it is no recorded View: its version is %d", head.Version)
	}
	var e envelope
	body := json.NewDecoder(bytes.NewReader(text))
	body.DisallowUnknownFields()
	err = body.Decode(&e)
	switch {
	case err != nil && head.Schema != schema():
		return Record{}, fmt.Errorf("%w: slipway %s wrote what this one does not know (%w); replay it with slipway %[2]s", ErrVersion, head.Program, err)
	case err != nil:
		return Record{}, err
	}
	r := Record{Program: e.Program, Schema: e.Schema, Policy: e.Policy, View: e.View, Fault: e.Fault}
	if r.Decision, err = compact(e.Decision); err != nil {
		return Record{}, err
	}
	if len(r.Decision) == 0 && r.Fault == "" {
		return Record{}, errors.New("it holds neither a decision nor a fault")
	}
	return r, nil
}

// compact takes out the blanks that a person's editor has put in.
func compact(text json.RawMessage) (json.RawMessage, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, fmt.Errorf("reading the decision: %w", err)
	}
	return b.Bytes(), nil
}

func unpack(from io.Reader) ([]byte, error) {
	return unpackUpTo(from, maxSize)
}

func unpackUpTo(from io.Reader, most int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(from, most+1))
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		zipped, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("unpacking: %w", err)
		}
		if raw, err = io.ReadAll(io.LimitReader(zipped, most+1)); err != nil {
			return nil, fmt.Errorf("unpacking: %w", err)
		}
	}
	if int64(len(raw)) > most {
		return nil, fmt.Errorf("it is larger than %d MiB, which no View is", most>>20)
	}
	return raw, nil
}
