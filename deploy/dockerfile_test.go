package deploy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// instructions of a Dockerfile, without comments, continued lines joined.
func instructions(text string) []string {
	var all []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// image is what the last stage of a Dockerfile says, by instruction, and the commands before it.
func image(all []string) (last map[string][]string, builds []string) {
	for _, line := range all {
		name, rest, _ := strings.Cut(line, " ")
		switch name {
		case "FROM":
			last = map[string][]string{name: {rest}}
		case "RUN":
			builds = append(builds, rest)
			last[name] = append(last[name], rest)
		default:
			if last != nil {
				last[name] = append(last[name], rest)
			}
		}
	}
	return last, builds
}

// wrongInImage tells what is wrong with a Dockerfile.
func wrongInImage(text string) []string {
	all := instructions(text)
	last, builds := image(all)
	whole := strings.Join(all, "\n")
	var wrong []string
	want := func(holds bool, otherwise string) {
		if !holds {
			wrong = append(wrong, otherwise)
		}
	}
	want(strings.Contains(whole, "ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot") && last["FROM"][0] == "${BASE_IMAGE}", "its base is not distroless")
	user := strings.Join(last["USER"], ",")
	want(user == "65532:65532", "runs as "+user)
	want(len(last["RUN"]) == 0, "runs commands where there is no shell")
	want(strings.Contains(whole, "CGO_ENABLED=0"), "is not static")
	want(strings.Contains(whole, "-trimpath -buildvcs=false"), "depends on where it was built")
	built := 0
	for _, b := range builds {
		if strings.Contains(b, "go build") {
			built++
			want(strings.Contains(b, `-ldflags="-s -w -buildid="`), "a build that cannot be repeated")
		}
	}
	want(built == 2, "does not build the program and its health check")
	want(strings.HasSuffix(strings.Join(last["HEALTHCHECK"], ""), `CMD ["/health", "http://127.0.0.1:8080/healthz"]`), "its health check is not /health")
	want(strings.Join(last["ENTRYPOINT"], "") == `["/app"]`, "needs a shell to start, which would keep SIGTERM from the program")
	want(strings.Join(last["EXPOSE"], "") == "8080", "its port is not that of the templates")
	return wrong
}

// No engine is needed for this, and none has built the image in our tests.
func TestTheImageIsStaticAndWithoutRoot(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	assert.Empty(t, wrongInImage(string(text)))
	for _, plant := range []struct{ from, to, says string }{
		{"USER 65532:65532", "USER root", "runs as root"},
		{"USER 65532:65532\n", "", "runs as "},
		{"gcr.io/distroless/static-debian12:nonroot", "debian:12", "not distroless"},
		{"CGO_ENABLED=0", "CGO_ENABLED=1", "not static"},
		{"-trimpath ", "", "where it was built"},
		{"-buildid=", "", "cannot be repeated"},
		{`ENTRYPOINT ["/app"]`, "ENTRYPOINT /app", "SIGTERM"},
		{"EXPOSE 8080", "EXPOSE 80", "port"},
		{`CMD ["/health", `, `CMD ["curl", `, "health check"},
		{"STOPSIGNAL SIGTERM", "RUN chmod 755 /app", "no shell"},
	} {
		require.Contains(t, string(text), plant.from)
		assert.Contains(t, strings.Join(wrongInImage(strings.Replace(string(text), plant.from, plant.to, 1)), "\n"), plant.says)
	}
}
