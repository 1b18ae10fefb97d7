package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/leftfold/leftfold/benchmarks/system"
)

// environment is what a reader must know to judge the numbers.
type environment struct {
	Began    time.Time
	Took     time.Duration
	CPU      string
	Cores    int
	Kernel   string
	Go       string
	Postgres string
	Settings []string // name = value
	Versions []string // module version, of every peer and driver
	Options  options
}

func (b *bench) environment(ctx context.Context, began time.Time) (environment, error) {
	e := environment{
		Began: began.UTC(), Took: time.Since(began).Round(time.Second),
		CPU: cpu(), Cores: runtime.NumCPU(), Kernel: kernel(), Go: runtime.Version(),
		Versions: versions(), Options: b.options,
	}
	if err := b.admin.QueryRow(ctx, "SELECT version()").Scan(&e.Postgres); err != nil {
		return e, err
	}
	for name := range settings {
		var value string
		if err := b.admin.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return e, err
		}
		e.Settings = append(e.Settings, name+" = "+value)
	}
	slices.Sort(e.Settings)
	return e, nil
}

func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	model := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(text)
	if model == nil {
		return runtime.GOARCH
	}
	return string(model[1])
}

func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(release))
}

// versions names the module of every peer and the drivers below them.
func versions() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	wanted := []string{"github.com/jackc/pgx/v5", "github.com/hallgren/eventsourcing/eventstore/sql", "github.com/ThreeDotsLabs/watermill"}
	for _, peer := range peers {
		wanted = append(wanted, peer.Module)
	}
	var found []string
	for _, module := range info.Deps {
		if slices.Contains(wanted, module.Path) {
			found = append(found, module.Path+" "+module.Version)
		}
	}
	return found
}

// systemsSection says which path each system takes, for the results.
func systemsSection() string {
	var text strings.Builder
	for _, s := range appendingSystems(naives...) {
		fmt.Fprintf(&text, "  %-10s %s", s.Name, s.About)
		fmt.Fprintln(&text, particulars(s))
	}
	return text.String()
}

func particulars(s system.System) string {
	var more []string
	if s.Decodes {
		more = append(more, "every read decodes JSON")
	}
	if s.Unchecked {
		more = append(more, "APPENDS CHECK NO VERSION")
	}
	if len(more) == 0 {
		return ""
	}
	return " [" + strings.Join(more, "; ") + "]"
}
