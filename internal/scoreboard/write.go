package scoreboard

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
)

// Write measures all policies, with rivals beside them, and writes the document
// and its plots to a directory. It takes minutes.
func Write(dir string, rivals []Rival, bubbles Bubbles) error {
	return newBoard(rivals, bubbles).write(dir)
}

// Chapters measures all policies in a few scenarios, and writes their plots to
// a directory. It returns their chapters of the document.
func Chapters(dir string, names []string, rivals []Rival, bubbles Bubbles) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	b := newBoard(rivals, bubbles)
	jobs := slices.DeleteFunc(b.jobs(), func(j job) bool { return !slices.Contains(names, j.scenario.name) })
	rs := b.bubbles.run(jobs)
	var w bytes.Buffer
	for _, i := range inOrder {
		for _, sc := range sections[i].scenarios {
			if !slices.Contains(names, sc.name) {
				continue
			}
			b.chapter(&w, rs, i, sc)
			w.WriteByte('\n')
			for m, measure := range sc.measures {
				if measure.reach.direction() != 0 {
					b.leader(&w, rs, i, sc, m)
				}
			}
			if sc.plot != "" {
				if err := os.WriteFile(filepath.Join(dir, sc.plot+".svg"), b.plot(rs, i, sc), 0o644); err != nil {
					return "", err
				}
			}
		}
	}
	return w.String(), nil
}

func (b board) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	rs := b.bubbles.run(b.jobs())
	files := map[string][]byte{
		"README.md":    b.document(rs, b.fuzz(fuzzedWorlds, fuzzedFirst)),
		"frontier.svg": b.plotFrontier(b.frontier()),
	}
	for i, s := range sections {
		for _, sc := range s.scenarios {
			if sc.plot != "" {
				files[sc.plot+".svg"] = b.plot(rs, i, sc)
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
