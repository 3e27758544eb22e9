package scoreboard

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFrontier_NoOptionReachesBothAtTenCallsASecond(t *testing.T) {
	for name, pt := range newBoard(nil, bubbles(t)).frontier() {
		t.Log(name, pt)
		require.False(t, pt.goodput >= 0.9 && pt.allowed[0] <= 1.5 && pt.allowed[1] <= 1.5,
			"%s reaches what the scoreboard says is out of reach", name)
	}
}
