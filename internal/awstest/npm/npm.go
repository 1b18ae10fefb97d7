// Package npm says where the programs are that our tests take from npm: emulators of Kinesis,
// DynamoDB and SQS, and AWS's checker of CloudFormation templates. package.json has their exact
// versions, package-lock.json those of all they need, with hashes.
//
// make test installs them beside package.json, as this command does from the root of the
// module:
//
//	npm ci --ignore-scripts --prefix internal/awstest/npm
//
// No script of a package runs then. The emulators listen on the loopback interface only.
package npm

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

const (
	// Install is the command that installs, from the root of the module.
	Install = "npm ci --ignore-scripts --prefix internal/awstest/npm"

	// OldestNode is the oldest major version of Node.js that runs the programs.
	OldestNode = 20
)

// ErrUnavailable: the programs are not installed, or not in the locked versions, or nothing
// runs them. The message says what to do. Tests skip themselves then, unless LEFTFOLD_TEST is
// "all".
var ErrUnavailable = errors.New("the programs from npm are not there")

// Folder returns the folder of package.json and node_modules, in the source tree that this
// test was built from.
func Folder() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return "", fmt.Errorf("%w: the tests were built with -trimpath, and do not know where the sources are", ErrUnavailable)
	}
	folder := filepath.Dir(file)
	return folder, Check(folder)
}

// Node returns the path of Node.js, or an [ErrUnavailable] if there is none or it is too old.
func Node(ctx context.Context) (string, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return "", fmt.Errorf("%w: there is no node: install Node.js %d or newer", ErrUnavailable, OldestNode)
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s --version: %w", ErrUnavailable, path, err)
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < OldestNode {
		return "", fmt.Errorf("%w: %s is Node.js %s: install %d or newer from https://nodejs.org", ErrUnavailable, path, version, OldestNode)
	}
	return filepath.Abs(path)
}
