package breaker_test

// The examples are those of Kratos v1, with other import lines. Its type
// xtime.Duration is in the same package here.

import (
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker/kratosv1/breaker"       //nolint:staticcheck // ST1019: so the code of Kratos v1 stays as it is
	xtime "github.com/kratos-breaker/breaker/kratosv1/breaker" //nolint:staticcheck // ST1019: so the code of Kratos v1 stays as it is
)

// ExampleGroup show group usage.
func ExampleGroup() {
	c := &breaker.Config{
		Window:  xtime.Duration(3 * time.Second),
		K:       1.5,
		Bucket:  10,
		Request: 100,
	}
	// init default config
	breaker.Init(c)
	// new group
	g := breaker.NewGroup(c)
	// reload group config
	c.Bucket = 100
	c.Request = 200
	g.Reload(c)
	// get breaker by key
	g.Get("key")
	// Output:
}

// ExampleBreaker show breaker usage.
func ExampleBreaker() {
	// new group,use default breaker config
	g := breaker.NewGroup(nil)
	brk := g.Get("key")
	// mark request success
	brk.MarkSuccess()
	// mark request failed
	brk.MarkFailed()
	// check if breaker allow or not
	if brk.Allow() == nil {
		fmt.Println("breaker allow")
	} else {
		fmt.Println("breaker not allow")
	}
	// Output: breaker allow
}

// ExampleGo this example create a default group and show function callback
// according to the state of breaker.
func ExampleGo() {
	run := func() error {
		return nil
	}
	fallback := func() error {
		return fmt.Errorf("unknown error")
	}
	if err := breaker.Go("example_go", run, fallback); err != nil {
		fmt.Println(err)
	}
	// Output:
}

// ExampleGroup_Breakers shows what Kratos v1 cannot: how the breakers are.
func ExampleGroup_Breakers() {
	g := breaker.NewGroup(nil)
	users := g.Get("users")
	for range 200 {
		users.MarkFailed()
	}
	for l := range g.Breakers() {
		s := l.Breaker.Snapshot()
		fmt.Printf("%s is %s and rejects %.3f of the calls: %s\n", l.Key, s.State, s.RejectRatio, s.Cause)
	}
	// Output: users is open and rejects 0.995 of the calls: 0 of 100 calls within 3s succeeded
}
