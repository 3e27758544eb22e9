package sre

import (
	"math"
	"sync/atomic"
)

// budget is a number of failures that a breaker can take before a call could
// be rejected. While it is positive, asking needs neither the clock nor the
// counts, and the answer is the same.
//
// The number is set now and then from the window, which takes a while, during
// which other goroutines spend from it and set it too. Its word holds the
// number and, above it, how many times it was set: a setter whose reading
// another one has overtaken finds that out, and what was spent meanwhile is
// carried over.
type budget struct{ word atomic.Uint64 }

const (
	budgetBits = 40
	budgetMask = 1<<budgetBits - 1
	budgetZero = 1 << (budgetBits - 1) // stands for 0, so that it can go below
	budgetMax  = budgetZero / 2
)

func amount(word uint64) int64 { return int64(word&budgetMask) - budgetZero }

// left reports whether anything is left.
func (b *budget) left() bool { return b.word.Load()&budgetMask > budgetZero }

// spend takes n away and returns what is left.
func (b *budget) spend(n uint64) int64 { return amount(b.word.Add(-n)) }

// shut takes all that is left away.
func (b *budget) shut() {
	for !b.set(b.word.Load(), -1) {
	}
}

// set sets the budget to n less what was spent since the word was read, and
// reports false if it was set by somebody else since then.
func (b *budget) set(read uint64, n int64) bool {
	for {
		word := b.word.Load()
		if word>>budgetBits != read>>budgetBits {
			return false
		}
		spent := amount(read) - amount(word)
		next := (read>>budgetBits+1)<<budgetBits | uint64(max(n-spent, -budgetMax)+budgetZero)
		if b.word.CompareAndSwap(word, next) {
			return true
		}
	}
}

// wholeFailures returns the number of failures that headroom stands for. It may
// be one too few, never one too many, whichever way headroom was rounded.
func wholeFailures(headroom float64) int64 {
	return int64(math.Floor(max(0, min(headroom*(1-1e-9), budgetMax))))
}
