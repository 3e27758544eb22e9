package config

import (
	"path"
	"strings"
)

// pattern is what a rule matches keys with.
type pattern struct {
	text string
	// literal is the text up to the first character with a meaning of its own.
	literal string
	// glob is what the key has to match, or with rest its part up to some slash;
	// "" if literal is all there is to match.
	glob string
	rest bool // whether the text ends in *, so that anything may follow
}

const maxPattern = 256 // bytes; a group shortens longer keys

// parsePattern returns the pattern that text is, or what is wrong with it.
func parsePattern(text string) (p pattern, problem string) {
	p.text = text
	switch {
	case text == "":
		return p, "want a key, a beginning followed by *, or a pattern"
	case len(text) > maxPattern:
		return p, "want at most 256 bytes"
	}
	body := text
	if b, ok := strings.CutSuffix(text, "*"); ok && !escaped(b) {
		body, p.rest = b, true
	}
	i := strings.IndexAny(body, `*?[\`)
	if i < 0 {
		p.literal = body
		return p, ""
	}
	p.literal, p.glob = body[:i], text
	if _, err := path.Match(p.glob, ""); err != nil {
		return p, `want a pattern without an open [ or a single \ at its end`
	}
	return p, ""
}

// escaped reports whether what follows s is escaped by a backslash.
func escaped(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

func (p *pattern) matches(key string) bool {
	switch {
	case !strings.HasPrefix(key, p.literal):
		return false
	case p.glob == "":
		return p.rest || key == p.literal
	}
	if ok, _ := path.Match(p.glob, key); ok || !p.rest {
		return ok
	}
	// The * at the end takes what follows up to a slash. What follows that one
	// may be anything.
	for i := len(p.literal); i < len(key); i++ {
		if key[i] != '/' {
			continue
		}
		if ok, _ := path.Match(p.glob, key[:i]); ok {
			return true
		}
	}
	return false
}

// exact reports whether there is but one key that matches.
func (p *pattern) exact() bool { return p.glob == "" && !p.rest }

// covers reports whether all that other matches is certain to match p.
func (p *pattern) covers(other *pattern) bool {
	switch {
	case p.text == other.text:
		return true
	case p.glob == "" && p.rest:
		return strings.HasPrefix(other.literal, p.literal)
	case other.exact():
		return p.matches(other.literal)
	}
	return false
}
