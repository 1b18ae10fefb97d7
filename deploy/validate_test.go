package deploy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest"
)

// mistakes are planted in copies of the templates, for the validator to find.
var mistakes = []struct{ template, from, to string }{
	{"container", "MultiAZ: true", "MultiAz: true"},
	{"kinesis-store", "MaxValue: 8760", "MaxValue: 8760\n    Minimum: 3"},
	{"serverless", "[ReportBatchItemFailures]", "[ReportBatchFailures]"},
	{"eventbridge", "Arn: !GetAtt Live.Arn,", "Arn: !GetAtt Gone.Arn,"},
	{"network", "Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Internet}", "Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Intranet}"},
}

// One start of the validator reads all of them: it takes longer to start than to read.
func TestAWSsValidatorFindsNothingButWhatIsPlanted(t *testing.T) {
	t.Parallel()
	modules, node := awstest.NodeModules(t)
	// Single-threaded: what runs for seconds only is not worth compiling a second time, beside other tests.
	args := []string{"--single-threaded", "validate.mjs", modules}
	for _, name := range names {
		args = append(args, filepath.Join("cloudformation", name+".yaml"))
	}
	dir := t.TempDir()
	planted := map[string]bool{}
	for _, m := range mistakes {
		text, err := os.ReadFile(filepath.Join("cloudformation", m.template+".yaml"))
		require.NoError(t, err)
		require.Contains(t, string(text), m.from)
		path := filepath.Join(dir, m.template+".yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), m.from, m.to, 1)), 0o600))
		planted[path] = false
		args = append(args, path)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), node, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	for line := range strings.Lines(string(out)) {
		var finding struct{ Template string }
		require.NoError(t, json.Unmarshal([]byte(line), &finding), line)
		if _, ok := planted[finding.Template]; ok {
			planted[finding.Template] = true
			continue
		}
		t.Error(strings.TrimSpace(line))
	}
	for path, found := range planted {
		assert.True(t, found, "the mistake in %s was not found", filepath.Base(path))
	}
}
