// Package place finds a place for a key in few instructions.
package place

import "math/bits"

// Of returns a number whose first bits say where key is in a table with a power
// of two of places. It looks at the length, the end and the middle: methods of a
// service and ports differ at the end, paths with parameters and short hosts
// before. Keys that are alike in all three, as nodes of a long domain are, have
// the same place, so there must be another way to find them. Its cost does not depend on the length.
func Of(key string) uint64 {
	n := len(key)
	h := uint64(n)
	if n >= 8 {
		h += word(key[n-8:]) ^ bits.RotateLeft64(word(key[(n-8)/2:]), 29)
	} else {
		for i := range n {
			h = h<<8 + uint64(key[i])
		}
	}
	return h * 0x9E3779B97F4A7C15 // of 2^64, the golden section
}

func word(s string) uint64 {
	_ = s[7] // one check of the bounds
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
