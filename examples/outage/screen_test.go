package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestScreen_LeavesNothingOfAnEarlierFrame(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, live: true}
	s.printf("title\n")
	s.draw("a long first line\na second line\na third line\n")
	s.draw("short\nsecond\n")
	s.leave("final\nblock\n")
	s.draw("another frame\n")
	s.leave("the end\n")
	require.Equal(t, "title\nfinal\nblock\n\nthe end\n\n", onTerminal(out.String()))
}

func TestScreen_WritesNoControlCharactersUnlessToATerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "out")
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	require.False(t, isTerminal(file))
	require.False(t, isTerminal(new(bytes.Buffer)))

	var out bytes.Buffer
	s := newScreen(&out, nil)
	s.leave("block\n")
	require.Equal(t, "block\n\n", out.String())
}

func TestScreen_ShowsThreeDigitsOfAMillisecond(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                        "-",
		12 * time.Microsecond:    "0.01 ms",
		1234 * time.Microsecond:  "1.23 ms",
		12345 * time.Microsecond: "12.3 ms",
		250 * time.Millisecond:   "250 ms",
		1500 * time.Millisecond:  "1500 ms",
	} {
		require.Equal(t, want, millis(d))
	}
}

func TestScreen_DrawsTheBarToItsEnd(t *testing.T) {
	require.Equal(t, "[          ]   0 %", bar(0))
	require.Equal(t, "[=====     ]  50 %", bar(0.5))
	require.Equal(t, "[==========] 100 %", bar(1))
}

// onTerminal returns what a terminal shows after text was written to it.
func onTerminal(text string) string {
	rows, row, column := []string{""}, 0, 0
	control := regexp.MustCompile(`^\x1b\[(\??)(\d*)([A-Za-z])`)
	for text != "" {
		if m := control.FindStringSubmatch(text); m != nil {
			text = text[len(m[0]):]
			switch m[3] {
			case "A":
				n, _ := strconv.Atoi(m[2])
				row -= n
			case "K":
				rows[row] = rows[row][:min(column, len(rows[row]))]
			case "J":
				rows = rows[:row+1]
				rows[row] = rows[row][:min(column, len(rows[row]))]
			case "h", "l": // wrapping
			default:
				panic(fmt.Sprintf("unknown control sequence %q", m[0]))
			}
			continue
		}
		switch c := text[0]; c {
		case '\r':
			column = 0
		case '\n': // a terminal's driver adds the \r
			row, column = row+1, 0
			if row == len(rows) {
				rows = append(rows, "")
			}
		default:
			line := []byte(rows[row] + strings.Repeat(" ", max(0, column+1-len(rows[row]))))
			line[column] = c
			rows[row], column = string(line), column+1
		}
		text = text[1:]
	}
	return strings.Join(rows, "\n")
}
