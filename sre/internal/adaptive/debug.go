package adaptive

import (
	"fmt"
	"os"
)

var debugging = os.Getenv("LAWDEBUG") != ""

func debugf(f string, a ...any) {
	if debugging {
		fmt.Printf(f+"\n", a...)
	}
}
