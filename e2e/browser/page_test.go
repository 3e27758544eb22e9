package browser_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/dashboard"
	"github.com/kratos-breaker/breaker/group"
)

// few are breakers that open with the first failure.
func few(keys ...string) *group.Group[*circuit.Breaker] {
	g := group.NewKeyed(func(key string) *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithName(key), circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Hour))
	}, group.WithLimit(len(keys)+1))
	for _, key := range keys {
		g.Get(key)
	}
	return g
}

func fail(b breaker.Acquirer) {
	p, _ := b.Acquire()
	p.Done(breaker.Failure)
}

const names = `[...document.querySelectorAll("#rows button")].map((e) => e.textContent)`

func TestPage_ShowsAnyNameAsText(t *testing.T) {
	keys := []string{
		`<script>window.hacked = 1</script>`, `<img src=x onerror="window.hacked = 1">`, `"><svg onload=window.hacked=1>`,
		`javascript:window.hacked=1`, "'; window.hacked = 1; '", "\x00\x01", `</template></td></table>`, `${window.hacked=1}`, "日本語 \u202e",
	}
	g := few(keys...)
	url, _ := serve(t, "127.0.0.1:0", dashboard.Handler(breaker.SourceOf(g)))
	for _, key := range keys {
		fail(g.Get(key))
	}
	b := open(t, url)
	b.until("the rows", fmt.Sprintf(`document.querySelectorAll("#rows tr").length === %d`, len(keys)))
	b.until("the log", fmt.Sprintf(`document.querySelectorAll("#entries li").length === %d`, len(keys)))
	require.ElementsMatch(t, keys, value[[]string](b, names))
	for i := range keys {
		b.click(row(fmt.Sprint(i+1), "button"))
		b.until("it is chosen", fmt.Sprintf(`document.getElementById("chosen").textContent === %s[%d]`, names, i))
	}
	require.True(t, value[bool](b, `window.hacked === undefined && document.images.length === 0 && document.scripts.length === 1`))
	b.isQuiet(url)
}

func TestPage_KnowsHowOftenAStateChangedBetweenTwoLooks(t *testing.T) {
	g := few("/a")
	a := g.Get("/a")
	url, _ := serve(t, "127.0.0.1:0", dashboard.Handler(breaker.SourceOf(g)))
	b := open(t, url)
	b.until("the row", `document.querySelectorAll("#rows tr").length === 1`)
	b.click("#pause")
	fail(a)
	a.Reset()
	fail(a)
	b.click("#pause")
	const changes = `[...document.querySelectorAll("#entries li")].map((li) => li.querySelector(".change").textContent + li.querySelector(".change + span").textContent)`
	b.until("three entries", changes+`.length === 3`)
	require.Equal(t, []string{"closed open1 failures in a row", "open closed", "closed open"}, value[[]string](b, changes))
	require.Equal(t, []bool{false, true, true}, value[[]bool](b, `[...document.querySelectorAll("#entries time")].map((e) => e.textContent.startsWith("~"))`),
		"when the first two were is not known")
	a.SetMode(breaker.DryRun)
	b.until("the mode", changes+`[0] === "auto dry-run"`)
	b.isQuiet(url)
}

func TestPage_HasNoButtonsForThoseWhoMayOnlyLook(t *testing.T) {
	url, _ := serve(t, "127.0.0.1:0", dashboard.Handler(breaker.SourceOf(few("/a"))))
	b := open(t, url)
	b.until("the row", `document.querySelectorAll("#rows tr").length === 1`)
	b.click(row("1", "button"))
	b.until("it is chosen", `document.getElementById("chosen").textContent === "/a"`)
	require.True(t, value[bool](b, `document.getElementById("controls").hidden && document.getElementById("actions").children.length === 0`))
}

func TestPage_SaysWhenThereIsNothing(t *testing.T) {
	g := group.NewGroup(func() *circuit.Breaker { return circuit.NewBreaker() }, group.WithLimit(1))
	url, _ := serve(t, "127.0.0.1:0", dashboard.Handler(breaker.SourceOf(g)))
	b := open(t, url)
	b.until("so it says", `document.getElementById("empty").textContent.startsWith("No breaker yet.")`)
	g.Get("/a")
	g.Get("/b")
	b.until("the overflow breaker", names+`.includes("keys beyond the limit")`)
	b.until("the notice", `document.getElementById("notice").textContent.startsWith("1 calls had a key beyond the limit")`)
	b.do(chromedp.SendKeys("#filter", "none"))
	b.until("so it says", `document.getElementById("empty").textContent === "No breaker matches."`)
	b.isQuiet(url)
}

func TestPage_CanBeUsedByKeyboard(t *testing.T) {
	g := few("/a", "/b", "/c")
	fail(g.Get("/b"))
	url, _ := serve(t, "127.0.0.1:0", dashboard.Handler(breaker.SourceOf(g)))
	b := open(t, url)
	b.until("the rows", names+`.join() === "/b,/a,/c"`)
	const focused, chosen = `document.activeElement.id || document.activeElement.textContent.trim()`, `document.getElementById("chosen").textContent`

	var order []string
	for range 10 {
		b.keys(kb.Tab)
		order = append(order, strings.Join(strings.Fields(value[string](b, focused)), " "))
	}
	require.Equal(t, []string{"pause", "filter", "1 open", "0 half-open", "2 closed", "0 overruled", "/b", "/a", "/c", "entries"}, order)

	b.press("/")
	require.Equal(t, "filter", value[string](b, focused))
	b.keys("op")
	b.until("the open ones", names+`.join() === "/b"`)
	b.keys(kb.Escape)
	b.until("all", names+`.length === 3`)
	for _, want := range []string{"/b", "/a", "/c", "/c"} {
		b.keys(kb.ArrowDown)
		require.Equal(t, want, value[string](b, chosen))
		require.Equal(t, want, value[string](b, focused), "the focus goes with it")
	}
	b.keys(kb.ArrowUp)
	require.Equal(t, "/a", value[string](b, chosen))
	fail(g.Get("/c"))
	b.until("another order", names+`.join() === "/b,/c,/a"`)
	require.Equal(t, "/a", value[string](b, focused), "the focus stays where it is")
	b.keys(kb.Escape)
	require.Equal(t, "All breakers", value[string](b, chosen))
	b.press("p")
	b.until("it pauses", `document.getElementById("live").textContent.startsWith("paused since ")`)
	b.press("p")
	b.until("it goes on", `document.getElementById("live").textContent === "live"`)
	b.click("#states [value=closed]")
	b.until("the closed one", names+`.join() === "/a"`)
	b.keys(kb.Escape)
	b.until("all", names+`.length === 3`)
	b.isQuiet(url)
}

func TestPage_SaysSinceWhenItIsStaleAndGoesOn(t *testing.T) {
	h := dashboard.Handler(breaker.SourceOf(few("/a")))
	url, stop := serve(t, "127.0.0.1:0", h)
	b := open(t, url)
	stop()
	b.until("it is stale", `/^stale since \d/.test(document.getElementById("live").textContent) && document.body.classList.contains("stale")`)
	b.picture("stale")
	addr := strings.Split(url, "/")[2]
	serve(t, addr, h)
	b.until("it is live", `document.getElementById("live").textContent === "live" && !document.body.classList.contains("stale")`)
	require.Equal(t, []string{"/a"}, value[[]string](b, names))
}
