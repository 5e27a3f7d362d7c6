package main

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

const viewsHelp = `List the files of slipway controller --record-views, oldest first, or write one of them to standard output.

The image has no shell and no tar, so this is how a record comes out of the controller's pod:

  kubectl exec POD -- /slipway views --dir /views
  kubectl exec POD -- /slipway views --dir /views latest > latest.json.gz
  slipway simulate --view latest.json.gz`

// latest is the name by which the newest file is asked for.
const latest = "latest"

func viewsCommand() *cobra.Command {
	var directory string
	cmd := &cobra.Command{
		Use: "views [NAME|" + latest + "]", Short: "List recorded Views, or write one of them out", Long: viewsHelp, Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listViews(cmd.OutOrStdout(), directory)
			}
			return writeView(cmd.OutOrStdout(), directory, args[0])
		},
	}
	cmd.Flags().StringVar(&directory, "dir", "/views", "directory that --record-views names")
	return cmd
}

// recorded answers the names of the records of a directory, which is only read: the controller may be writing to it. Names sort by time.
func recorded(directory string) ([]fs.DirEntry, error) {
	all, err := os.ReadDir(directory)
	if err != nil {
		return nil, fmt.Errorf("reading --dir: %w", err)
	}
	kept := all[:0]
	for _, e := range all {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), "view-") {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

func listViews(to io.Writer, directory string) error {
	entries, err := recorded(directory)
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it was the oldest, and is gone
			fmt.Fprintf(to, "%s\t%d bytes\n", e.Name(), info.Size())
		}
	}
	return err
}

func writeView(to io.Writer, directory, name string) error {
	entries, err := recorded(directory)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if e.Name() == name || name == latest && i == len(entries)-1 {
			file, err := os.Open(filepath.Join(directory, e.Name()))
			if err != nil {
				return fmt.Errorf("opening the record: %w", err)
			}
			_, err = io.Copy(to, file)
			return cmp.Or(err, file.Close())
		}
	}
	return fmt.Errorf("there is no record %q in %s (%d are); slipway views lists them", name, directory, len(entries))
}
