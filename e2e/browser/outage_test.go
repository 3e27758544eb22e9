package browser_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// outage runs the example, and returns where its page is.
func outage(t *testing.T) string {
	t.Helper()
	chromium(t)
	program := filepath.Join(t.TempDir(), "outage")
	build := exec.Command("go", "build", "-o", program, "./examples/outage")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	cmd := exec.Command(program, "-addr", "127.0.0.1:0", "-hold")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(stdout)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait() // it says that no claim was checked
	})
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	_, url, ok := strings.Cut(strings.TrimSpace(line), "The breakers, live: ")
	require.True(t, ok, line)
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return url
}

const (
	isOpen   = `[...document.querySelectorAll("#rows .state .pill")].map((e) => e.textContent).join() === "open,open"`
	isClosed = `[...document.querySelectorAll("#rows .state .pill")].map((e) => e.textContent).join() === "closed,closed"`
)

func TestOutage_IsSeenAndOverruledOnThePage(t *testing.T) {
	url := outage(t)
	b := open(t, url)
	b.click("#actions button:last-child") // and from now on nothing is planned
	b.until("both breakers", isClosed)

	// The machine may be busy once, but not each time.
	var took []time.Duration
	for range 3 {
		begin := time.Now()
		b.click("#actions button:nth-child(1)")
		b.until("the rows turn open", isOpen)
		took = append(took, time.Since(begin).Round(10*time.Millisecond))
		if took[len(took)-1] < 2*time.Second {
			break
		}
		b.click("#actions button:last-child")
		b.until("the rows turn closed", isClosed)
	}
	t.Log("open after", took)
	require.Less(t, took[len(took)-1], 2*time.Second)
	require.Equal(t, "2", value[string](b, `document.querySelector("#states [value=open] b").textContent`))
	b.until("the title says so", `document.title === "(2 open) outage"`)
	b.until("the note says so", `document.getElementById("note").textContent.includes("502")`)
	b.until("the log says so", `[...document.querySelectorAll("#entries .change.open")].length >= 2`)
	b.until("the sparkline grows", `document.querySelector("#rows polyline").getAttribute("points").split(" ").length >= 3`)
	b.pictures("outage")

	b.click("#actions button:last-child")
	b.until("the rows turn closed", isClosed)
	const hello = `[...document.querySelectorAll("#rows tr")].find((tr) => tr.querySelector("button").textContent === "/hello")`
	value[bool](b, hello+`.querySelector("button").click(), true`)
	b.until("it is chosen", `document.getElementById("chosen").textContent === "/hello"`)
	b.click("#controls [value=force-open]")
	require.Equal(t, "Reject every call of /hello for 15m?", value[string](b, `document.getElementById("question").textContent`))
	b.keys("\x1b") // changed my mind
	b.until("nothing is asked", `document.getElementById("confirm").hidden`)
	require.Equal(t, "/hello", value[string](b, `document.getElementById("chosen").textContent`))
	b.click("#controls [value=force-open]")
	b.click("#yes")
	b.until("it is forced", hello+`.querySelector(".mode").textContent === "force-open"`)
	b.until("the first row", hello+` === document.querySelector("#rows tr")`)
	b.until("all are rejected", hello+`.querySelector(".ratio span").textContent === "100 %"`)
	b.until("how long", `/^14 min \d+ s left/.test(`+hello+`.querySelector("p").textContent)`)
	b.picture("outage-forced")

	b.do(chromedp.Reload())
	b.until("it is still chosen", `document.getElementById("chosen").textContent === "/hello"`)
	b.until("and forced", hello+`.querySelector(".mode").textContent === "force-open"`)
	b.click("#controls [value=auto]")
	b.until("it is released", hello+`.querySelector(".mode").hidden`)
	b.until("nothing is rejected", isClosed)
	b.isQuiet(url)
}
