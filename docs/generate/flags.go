package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const flagIntro = `# Commands and flags

As ` + "`slipway`" + ` answers to --help. Of the environment it reads, by way of the libraries that it is made of:

| variable | for |
| --- | --- |
| ` + "`KUBECONFIG`" + ` | the cluster, where neither --kubeconfig nor a pod's service account tells |
| ` + "`AWS_REGION`, `AWS_PROFILE`, `AWS_ROLE_ARN`, `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_CONTAINER_CREDENTIALS_FULL_URI`" + ` and the others of AWS' SDK | region and credentials: IRSA and EKS Pod Identity set theirs by themselves |
| ` + "`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_EC2`" + ` and those of other services | another place for AWS' API, such as a private endpoint |
| ` + "`AWS_CA_BUNDLE`, `SSL_CERT_FILE`" + ` | certificate authorities besides those in the program |
| ` + "`HTTPS_PROXY`, `NO_PROXY`" + ` | a proxy |
| ` + "`GOMAXPROCS`, `GOMEMLIMIT`" + ` | Go's runtime; by itself it keeps to the container's CPU limit and to nine tenths of its memory limit |

`

// flagPage builds the program and asks it.
func flagPage(root string) (string, error) {
	dir, err := os.MkdirTemp("", "slipway-docs-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }() // nothing of it is needed
	program := filepath.Join(dir, "slipway")
	build := exec.Command("go", "build", "-o", program, "./cmd/slipway")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building slipway: %w\n%s", err, out)
	}
	commands, err := helpOf(program)
	return flagIntro + strings.TrimSuffix(commands, "\n"), err
}

// commandLine finds the commands below one in cobra's help.
var commandLine = regexp.MustCompile(`(?m)^  ([a-z-]+) {2,}\S`)

// helpOf writes the help of a command and of those below it; cobra's own commands are left out.
func helpOf(program string, words ...string) (string, error) {
	cmd := exec.Command(program, append(words, "--help")...)
	cmd.Env = []string{"HOME=/nonexistent"} // no default may depend on who generates
	help, err := cmd.CombinedOutput()
	name := strings.Join(append([]string{"slipway"}, words...), " ")
	if err != nil {
		return "", fmt.Errorf("asking %s for help: %w", name, err)
	}
	text := "## " + name + "\n\n```text\n" + strings.TrimSpace(string(help)) + "\n```\n\n"
	_, list, _ := strings.Cut(string(help), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for _, m := range commandLine.FindAllStringSubmatch(list, -1) {
		if m[1] == "completion" || m[1] == "help" {
			continue
		}
		inner, err := helpOf(program, append(words[:len(words):len(words)], m[1])...)
		if err != nil {
			return "", err
		}
		text += inner
	}
	return text, nil
}
