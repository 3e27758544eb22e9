package main

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuickstart_ShowsTheBreakerRejectingMostCalls(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	stdout := os.Stdout
	os.Stdout = write
	t.Cleanup(func() { os.Stdout = stdout })

	main()
	require.NoError(t, write.Close())
	out, err := io.ReadAll(read)
	require.NoError(t, err)

	var reached, rejected int
	_, err = fmt.Sscanf(string(out), "of 300 calls %d reached the dead backend, %d were rejected\n", &reached, &rejected)
	require.NoError(t, err, "output: %s", out)
	require.Equal(t, 300, reached+rejected)
	require.Greater(t, rejected, 150)
}
