package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/leftfold/leftfold/internal/awstest/npm"
)

const npmFolder = "internal/awstest/npm"

// emulators makes sure that tests find the emulators of AWS: Node.js through apt-get if there
// is none, then what the lock file says, if that is not there already.
func emulators(ctx context.Context, log io.Writer) (string, error) {
	installed, err := nodeAndNpm(ctx, log)
	if err != nil {
		return "", err
	}
	if npm.Check(npmFolder) == nil {
		return installed, nil
	}
	ci := program{name: "npm", args: []string{"ci", "--ignore-scripts", "--no-audit", "--no-fund"}, dir: npmFolder}
	if _, err := ci.run(ctx, log); err != nil {
		return "", fmt.Errorf("npm ci in %s, which needs the registry of npm: %w", npmFolder, err)
	}
	return "installed what package-lock.json says", npm.Check(npmFolder)
}

// nodeAndNpm installs what is missing. What is there is left alone, if it is too old as well:
// somebody else may need it.
func nodeAndNpm(ctx context.Context, log io.Writer) (string, error) {
	_, noNode := exec.LookPath("node")
	_, noNpm := exec.LookPath("npm")
	detail := ""
	if errors.Join(noNode, noNpm) != nil {
		packages := []string{"npm"} // of Debian, it needs the nodejs of Debian
		if noNode != nil {
			packages = append(packages, "nodejs")
		}
		var err error
		if detail, err = aptInstall(ctx, log, nil, packages...); err != nil {
			return "", err
		}
	}
	if _, err := npm.Node(ctx); err != nil {
		return newerNode(ctx, log, err)
	}
	return detail, nil
}

// nodeVersion is that of the Node.js which is installed where Debian's is too old, as Debian 12's is.
const nodeVersion = "20.20.2"

// newerNode installs Node.js from npm beside our logs. What is run from here on finds it first.
func newerNode(ctx context.Context, log io.Writer, tooOld error) (string, error) {
	architecture, known := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if runtime.GOOS != "linux" || !known {
		return "", missing(tooOld.Error())
	}
	folder, err := filepath.Abs("bin/node")
	if err != nil {
		return "", err
	}
	name := "node-linux-" + architecture
	install := program{name: "npm", args: []string{"install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, name + "@" + nodeVersion}}
	if _, err := install.run(ctx, log); err != nil {
		return "", fmt.Errorf("%w, and npm has no newer one for us: %w", tooOld, err)
	}
	path := filepath.Join(folder, "node_modules", name, "bin") + string(filepath.ListSeparator) + os.Getenv("PATH")
	if err := os.Setenv("PATH", path); err != nil {
		return "", err
	}
	if _, err := npm.Node(ctx); err != nil {
		return "", missing(err.Error())
	}
	return "Node.js " + nodeVersion + ", from npm", nil
}
