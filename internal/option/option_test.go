package option_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/option"
)

type setting func(*int)

func TestApply_TheLastOptionCountsAndANilOnePanicsWithTheCallersName(t *testing.T) {
	to := func(n int) setting { return func(v *int) { *v = n } }
	v := 0
	option.Apply("a: New", &v, []setting{to(1), to(2)})
	require.Equal(t, 2, v)
	require.PanicsWithValue(t, "a: New: nil Option", func() { option.Apply("a: New", &v, []setting{to(3), nil}) })
	option.Apply[int, setting]("a: New", &v, nil)
	require.Equal(t, 3, v)
}

func TestIsNil_FindsWhatAnInterfaceHides(t *testing.T) {
	var pointer *int
	var function func()
	var failure error
	for _, v := range []any{nil, pointer, function, failure, map[int]int(nil), []int(nil), (chan int)(nil), setting(nil)} {
		require.True(t, option.IsNil(v), "%T", v)
	}
	for _, v := range []any{0, "", struct{}{}, new(int), func() {}, errors.New(""), map[int]int{}, []int{}, make(chan int), [0]int{}} {
		require.False(t, option.IsNil(v), "%T", v)
	}
}
