package grpc

import (
	"context"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/kratos-breaker/breaker/internal/place"
)

// keys makes the default keys, and remembers those of the calls that are made
// often, so that they do not allocate. It remembers a limited number, whatever
// the methods are: where they come from a user, there is no end of them.
type keys struct {
	seed maphash.Seed
	sets [128][4]atomic.Pointer[key]
	// near has keys where fewer instructions find them: what a call costs is not
	// to run these but to load them, since between two calls others run.
	near [1 << nearBits]atomic.Pointer[key]
}

const nearBits = 8

type key struct{ target, method, both string }

func newKeys() *keys { return &keys{seed: maphash.MakeSeed()} }

func (k *keys) of(_ context.Context, method string, cc *grpc.ClientConn) string {
	if cc == nil { // in a test of somebody's
		return method
	}
	return k.join(cc.Target(), method)
}

// join returns target + method.
func (k *keys) join(target, method string) string {
	near := &k.near[(place.Of(target)^bits.RotateLeft64(place.Of(method), 1))>>(64-nearBits)]
	e := near.Load()
	if e != nil && e.method == method && e.target == target {
		return e.both
	}
	found := k.find(target, method)
	// Of keys that have the same place, one has it for a while: if each call wrote
	// to it, processors would wait for each other.
	if e == nil || rand.Uint32()%64 == 0 {
		near.Store(found)
	}
	return found.both
}

// find finds a key in sets, or makes it.
func (k *keys) find(target, method string) *key {
	hash := maphash.String(k.seed, method) ^ bits.RotateLeft64(maphash.String(k.seed, target), 1)
	set := &k.sets[hash%uint64(len(k.sets))]
	free := -1
	for i := range set {
		switch e := set[i].Load(); {
		case e == nil:
			free = i
		case e.method == method && e.target == target:
			return e
		}
	}
	if free < 0 { // each key has one place to throw another one out of
		free = int(hash >> 32 % uint64(len(set)))
	}
	both := target + method
	// Its parts, since the caller's strings may be parts of something large.
	e := &key{target: both[:len(target)], method: both[len(target):], both: both}
	set[free].Store(e)
	return e
}
