package breaker_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/kratosv1/breaker"
)

// The files of Kratos v1 are TOML. Decoders of TOML and YAML look for this
// interface, as encoding/json does.
var (
	_ encoding.TextUnmarshaler = (*breaker.Duration)(nil)
	_ encoding.TextMarshaler   = breaker.Duration(0)
)

func TestDuration_IsSpelledAsText(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"3s": 3 * time.Second, "500ms": 500 * time.Millisecond, "1m30s": 90 * time.Second, "0": 0, "-1s": -time.Second,
	} {
		var d breaker.Duration
		require.NoError(t, d.UnmarshalText([]byte(text)))
		require.Equal(t, want, time.Duration(d))
	}
	d := breaker.Duration(3 * time.Second)
	for _, text := range []string{"", "3", "3 s", "three", "9999999h", "3s3"} {
		require.Error(t, d.UnmarshalText([]byte(text)), text)
		require.Equal(t, breaker.Duration(3*time.Second), d, text)
	}
	text, err := d.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "3s", string(text))
	require.Equal(t, "3s", fmt.Sprint(d))
}

func TestConfig_IsReadFromAFile(t *testing.T) {
	var c breaker.Config
	require.NoError(t, json.Unmarshal([]byte(`{"switchOff": true, "k": 2, "window": "10s", "bucket": 20, "request": 50}`), &c))
	want := breaker.Config{SwitchOff: true, K: 2, Window: breaker.Duration(10 * time.Second), Bucket: 20, Request: 50}
	require.Equal(t, want, c)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{"SwitchOff": true, "K": 2, "Window": "10s", "Bucket": 20, "Request": 50}`, string(text))
	require.Error(t, json.Unmarshal([]byte(`{"window": 3}`), &c), "3 what?")
}
