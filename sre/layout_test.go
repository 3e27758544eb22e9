package sre

import (
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBreaker_WritesOfEveryCallHaveACacheLineOfTheirOwn keeps the order of the
// fields: what each call reads must not share a line with what each call
// writes. A block of 256 bytes begins at a multiple of 64.
func TestBreaker_WritesOfEveryCallHaveACacheLineOfTheirOwn(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("the order is made for 64-bit processors")
	}
	breaker := reflect.TypeFor[Breaker]()
	size := breaker.Size()
	require.True(t, size > 256 && size <= 320, "%d", size)
	ledger, _ := breaker.FieldByName("ledger")
	lane, _ := ledger.Type.FieldByName("first")
	require.Zero(t, (ledger.Offset+lane.Offset)%64)
	require.EqualValues(t, 64, lane.Type.Size())
}
