package scoreboard

import (
	"os"
	"path/filepath"
)

// Write measures all policies, with rivals beside them, and writes the document
// and its plots to a directory. It takes minutes.
func Write(dir string, rivals []Rival, bubbles Bubbles) error {
	return newBoard(rivals, bubbles).write(dir)
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
