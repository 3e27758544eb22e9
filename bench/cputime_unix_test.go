//go:build unix

package bench_test

import (
	"syscall"
	"time"
)

// cpuTime returns how long this process has been running on a processor.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
