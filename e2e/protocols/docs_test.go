package protocols_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs returns a section of docs/protocols.md.
func docs(t *testing.T, section string) string {
	text, err := os.ReadFile("../../docs/protocols.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "\n## "+section+"\n")
	require.True(t, ok)
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

func TestDocs_EachSampleIsCodeOfTheTests(t *testing.T) {
	for section, file := range map[string]string{"go-kit": "gokit_test.go", "gRPC, gRPC-Web and Connect over net/http": "connect_test.go"} {
		code, err := os.ReadFile(file)
		require.NoError(t, err)
		samples := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(docs(t, section), -1)
		require.Len(t, samples, 1, section)
		plain := strings.ReplaceAll(string(code), "\n\t", "\n") // or the body of a function
		sample := samples[0][1]
		require.True(t, strings.Contains(string(code), sample) || strings.Contains(plain, sample), section)
	}
}

func TestDocs_TheTableSaysWhatIsSeen(t *testing.T) {
	text := docs(t, "gRPC, gRPC-Web and Connect over net/http")
	says := map[bool]string{true: "seen", false: "not seen"}
	for _, p := range protocols {
		require.Contains(t, text, "| "+p.name+" | "+says[p.unary]+" | "+says[p.before]+" | "+says[p.after]+" |\n")
	}
}
