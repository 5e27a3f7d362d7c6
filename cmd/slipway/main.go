// Command slipway is the controller and the command-line tool.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // the image has no certificates of its own; those of a system or of SSL_CERT_FILE go first
)

// version is set by the linker.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "slipway",
		Short:         "Launch GPU nodes for pods that wait for a GPU, and haul them out when they are idle",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(controllerCommand(), explainCommand(), simulateCommand(), preflightCommand(), viewsCommand(), importCommand())
	err := root.ExecuteContext(ctx)
	if errors.Is(err, errHeld) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "slipway:", err)
		os.Exit(1)
	}
}
