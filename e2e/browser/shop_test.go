package browser_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"image/png"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/dashboard"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

var write = flag.String("write", "", "the file for the picture of the README")

// serve serves a handler below a prefix, and returns the address of the page.
func serve(t *testing.T, addr string, h http.Handler) (url string, stop func()) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/debug/breakers/", h)
	listener, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	server := &http.Server{Handler: mux}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	stop = func() {
		_ = server.Close()
		serving.Wait()
	}
	t.Cleanup(stop)
	return "http://" + listener.Addr().String() + "/debug/breakers/", stop
}

var errDown = errors.New("down")

// operation is one that a shop calls.
type operation struct {
	key string
	rps float64
	// fails says which share of the calls fails after so many seconds.
	fails func(s float64) float64
}

func well(float64) float64 { return 0.001 }

// from returns an outage that begins after so many seconds, and ends.
func from(begin, end float64) func(float64) float64 {
	return func(s float64) float64 {
		if begin <= s && s < end {
			return 1
		}
		return 0.003
	}
}

// shop calls backends until the test ends, and returns the page of its breakers.
func shop(t *testing.T, options ...dashboard.Option) http.Handler {
	log := dashboard.NewLog(256)
	adaptive := group.NewKeyed(func(key string) breaker.Breaker {
		return sre.NewBreaker(sre.WithName(key), sre.WithListener(log.Listen))
	})
	classic := group.NewKeyed(func(key string) breaker.Breaker {
		return circuit.NewBreaker(circuit.WithName(key), circuit.WithListener(log.Listen), circuit.WithConsecutiveFailures(5),
			circuit.WithDelay(20*time.Second), circuit.WithProbes(30, 30))
	})
	begin := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	var calling sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		calling.Wait()
	})
	call := func(g *group.Group[breaker.Breaker], o operation) {
		for next := time.Now(); ctx.Err() == nil; {
			calling.Go(func() {
				_ = breaker.Run(ctx, g.Get(o.key), func(context.Context) error {
					time.Sleep(time.Duration(5+rand.IntN(40)) * time.Millisecond)
					if rand.Float64() < o.fails(time.Since(begin).Seconds()) {
						return errDown
					}
					return nil
				})
			})
			next = next.Add(time.Duration(rand.ExpFloat64() * float64(time.Second) / o.rps))
			if time.Since(next) > 50*time.Millisecond { // the machine has paused
				next = time.Now()
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Until(next)):
			}
		}
	}
	for _, o := range []operation{
		{"/catalog.v1.Catalog/GetItem", 160, well},
		{"/catalog.v1.Catalog/Search", 90, well},
		{"/users.v1.Users/GetProfile", 45, well},
		{"/cart.v1.Cart/AddItem", 22, from(35, 60)},
		{"/orders.v1.Orders/Create", 12, func(float64) float64 { return 0.03 }},
		{"/payment.v2.Payments/Charge", 38, from(70, 1000)},
		{"/mail.v1.Mailer/Send", 3, well},
	} {
		calling.Go(func() { call(adaptive, o) })
	}
	for _, o := range []operation{
		{"/stock.v1.Stock/Reserve", 26, from(20, 92)}, {"/geo.v1.Geocoder/Locate", 9, well}, {"/rates.v1.Rates/Convert", 6, well},
	} {
		calling.Go(func() { call(classic, o) })
	}
	return dashboard.Handler(breaker.Sources(breaker.SourceOf(adaptive), breaker.SourceOf(classic)),
		append([]dashboard.Option{
			dashboard.WithTitle("storefront"), dashboard.WithLog(log),
			dashboard.WithNote(func() string { return "storefront-7d9f4c-x2x8p" }),
		}, options...)...)
}

func TestPage_KeepsItsPlacesWhileTheNumbersChange(t *testing.T) {
	url, _ := serve(t, "127.0.0.1:0", shop(t))
	b := open(t, url)
	b.until("ten rows", `document.querySelectorAll("#rows tr").length === 10`)
	const places = `JSON.stringify([...document.querySelectorAll(".tile, thead th, #plot, #legend dd")].map((e) => {
		const { x, y, width, height } = e.getBoundingClientRect(); return [x, y, width, height]; }))`
	before := value[string](b, places)
	const offered = `[...document.querySelectorAll("#rows td:nth-child(3), #legend dd")].map((e) => e.textContent).join()`
	seen := map[string]bool{}
	for begin := time.Now(); len(seen) < 5; time.Sleep(50 * time.Millisecond) {
		require.Less(t, time.Since(begin), patience)
		seen[value[string](b, offered)] = true
		require.Equal(t, before, value[string](b, places))
	}
	b.pictures("shop")
	b.isQuiet(url)
}

func TestPage_PictureIsWrittenOnRequest(t *testing.T) {
	if *write == "" {
		t.Skip("no -write: it takes 100 s")
	}
	url, _ := serve(t, "127.0.0.1:0", shop(t, dashboard.WithAdmin(func(*http.Request) error { return nil })))
	b := open(t, url)
	for begin := time.Now(); time.Since(begin) < 100*time.Second; time.Sleep(time.Second) {
		value[bool](b, "true")
	}
	value[bool](b, `document.querySelector("#rows button").click(), true`) // with no mouse over it
	b.do(scheme("light"), chromedp.EmulateViewport(1280, 800))
	picture, err := png.Decode(bytes.NewReader(b.picture("dashboard")))
	require.NoError(t, err)
	var small bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, picture))
	require.Less(t, small.Len(), 150_000)
	require.NoError(t, os.WriteFile(*write, small.Bytes(), 0o644))
	b.pictures("dashboard")
}
