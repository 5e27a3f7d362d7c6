// Command fakeaws is an AWS account with one region and one EKS cluster, in memory: the simulated cloud of pkg/cloud/sim
// behind the wire protocols of EC2, SQS, SSM, Pricing, IAM, EKS and STS (package wire). Given a kubeconfig, or as a pod with --in-cluster, it plays the
// machines as well: they join the cluster as nodes and run its pods, without containers (package machine).
//
//	fakeaws --kubeconfig=$KUBECONFIG --url-file=/tmp/url &
//	AWS_ENDPOINT_URL=$(cat /tmp/url) AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x slipway controller ...
//
// It is for tests, demos and newcomers. What goes wrong, and when, is a script (--script; see sim.Parse) or comes over
// HTTP (/_fake/; see wire/control.go). It ends on SIGTERM and SIGINT, and keeps nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseOptions(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err == nil:
		err = run(ctx, o, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fakeaws:", err)
		os.Exit(1)
	}
}
