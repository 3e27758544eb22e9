// Package browser_test looks at the page of package dashboard with Chromium, as
// a person does. Where there is no Chromium the tests are skipped, unless CI is
// set to true: then they fail.
//
// The pictures that it takes are kept in the directory that the environment
// variable BREAKER_PICTURES names. The one of the README is made by
//
//	go test ./browser -run Picture -write ../../docs/dashboard.png
package browser_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what takes a second or two on a machine
// that has nothing else to do.
const patience = 30 * time.Second

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const reason = "there is no Chromium: apt-get install chromium"
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
	return ""
}

// tab is a tab of a browser that was never used before.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	console  []string
	requests []string
}

// open starts a browser of 1280 x 860 pixels and opens a page in it.
func open(t *testing.T, url string) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeTab := chromedp.NewContext(allocator)
	b := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1280, 860)))
	var watching sync.WaitGroup
	console, requests := chromedp.Console(ctx), chromedp.Events(ctx, network.RequestWillBeSent)
	watching.Go(func() {
		for message, err := range console {
			if err != nil {
				return
			}
			b.note(&b.console, message.String())
		}
	})
	watching.Go(func() {
		for request, err := range requests {
			if err != nil {
				return
			}
			b.note(&b.requests, request.Request.URL)
		}
	})
	t.Cleanup(func() {
		err := chromedp.Cancel(ctx) // waits until the browser has gone, and its directory can go
		closeTab()
		stop()
		watching.Wait()
		require.NoError(t, err)
	})
	b.do(chromedp.Navigate(url))
	b.until("the first answer", `document.getElementById("live").textContent === "live"`)
	return b
}

func (b *tab) note(list *[]string, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, text)
}

// do does one step after the other, each within patience.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

func (b *tab) click(css string) {
	b.t.Helper()
	b.do(chromedp.Click(css))
}

func (b *tab) keys(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// press presses a key that has a text, and that the page may keep to itself.
func (b *tab) press(key string) {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		_, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: key, Text: key})
		require.NoError(b.t, err)
	}
}

func value[T any](b *tab, js string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	require.NoError(b.t, err, js)
	return v
}

// until waits until a condition holds.
func (b *tab) until(what, js string) {
	b.t.Helper()
	for begin := time.Now(); !value[bool](b, js); time.Sleep(20 * time.Millisecond) {
		require.Less(b.t, time.Since(begin), patience, "%s: %s\n%s", what, js, strings.Join(b.console, "\n"))
	}
}

// scheme is "light" or "dark", as the system would have it.
func scheme(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return v, err
	}
}

// picture takes one, and keeps it if somebody wants it.
func (b *tab) picture(name string) []byte {
	b.t.Helper()
	dir := os.Getenv("BREAKER_PICTURES")
	if dir == "" {
		dir = b.t.TempDir()
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
	return png
}

// pictures takes one in light, in dark, and of a phone, on which nothing must
// be wider than the screen.
func (b *tab) pictures(name string) {
	b.t.Helper()
	b.do(scheme("light"))
	b.picture(name + "-light")
	b.do(scheme("dark"))
	require.NotEqual(b.t, "rgb(243, 245, 247)", value[string](b, `getComputedStyle(document.body).backgroundColor`))
	b.picture(name + "-dark")
	b.do(scheme("light"), chromedp.EmulateViewport(400, 860))
	b.until("it fits", `document.documentElement.scrollWidth <= 400`)
	b.picture(name + "-phone")
	b.do(chromedp.EmulateViewport(1280, 860))
}

// isQuiet fails the test if the page complained, or asked for something that is
// not its own.
func (b *tab) isQuiet(origin string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.console)
	require.NotEmpty(b.t, b.requests)
	for _, url := range b.requests {
		require.True(b.t, strings.HasPrefix(url, origin), url)
	}
}

// row returns the selector of what is in the n-th row of the table.
func row(n, css string) string { return "#rows tr:nth-child(" + n + ") " + css }
