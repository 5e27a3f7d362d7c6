// Command generate writes the embedded facts of pkg/cloud/catalogue.
//
// It reads a directory of three JSON files (instance types as EC2 describes them, on-demand prices in dollars per
// hour by region, zones by region and type), checks them, and writes one Go file. Same input, same output, byte for
// byte. Input that contradicts itself is refused with the file, the entry and what is wrong: a bad fact in here would
// only show as a wrong launch.
//
// It is run by `go generate` with the directory in SLIPWAY_CATALOGUE. It may import the standard library, pkg/cloud
// and pkg/cloud/catalogue's price parser.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	source := flag.String("source", "", "directory with "+typesFile+", "+pricesFile+" and "+zonesFile)
	out := flag.String("out", "facts_generated.go", "file to write")
	asOf := flag.String("as-of", "August 2026", "month in which the facts held")
	flag.Parse()
	if err := run(*source, *out, *asOf); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(source, out, asOf string) error {
	if source == "" {
		return errors.New("no source directory: pass -source, or set SLIPWAY_CATALOGUE for go generate")
	}
	f, err := read(source)
	if err != nil {
		return fmt.Errorf("reading the facts: %w", err)
	}
	text, err := render(f, asOf)
	if err != nil {
		return fmt.Errorf("rendering the facts: %w", err)
	}
	if err := os.WriteFile(out, text, 0o644); err != nil {
		return fmt.Errorf("writing the facts: %w", err)
	}
	return nil
}
