package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// pattern is what a rule matches keys with.
type pattern struct {
	text string
	// literal is the text up to the first character with a meaning of its own.
	literal string
	// glob is what follows literal; nil if that is all there is.
	glob glob
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
	case !utf8.ValidString(text):
		return p, "want UTF-8"
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
	p.literal = body[:i]
	p.glob, problem = parseGlob([]rune(body[i:]))
	return p, problem
}

// escaped reports whether what follows s is escaped by a backslash.
func escaped(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// glob is a sequence of what a key has to have in turn. The match of path would
// do but for a * that may end in the middle of a character.
type glob []element

type element struct {
	kind elementKind
	char rune      // of one
	of   [][2]rune // of a class: from low to high
}

type elementKind byte

const (
	one   elementKind = iota // a certain character
	any1                     // any character but a slash
	class                    // one of some characters
	not                      // any character but a slash and some
	many                     // any number of characters but slashes
)

func parseGlob(text []rune) (g glob, problem string) {
	for len(text) > 0 {
		c := text[0]
		text = text[1:]
		e := element{kind: one, char: c}
		switch c {
		case '*':
			e = element{kind: many}
		case '?':
			e = element{kind: any1}
		case '[':
			if e, text, problem = parseClass(text); problem != "" {
				return nil, problem
			}
		case '\\':
			if len(text) == 0 {
				return nil, `want a character after the last \`
			}
			e.char, text = text[0], text[1:]
		}
		g = append(g, e)
	}
	return g, ""
}

// parseClass returns the class that text has after its opening bracket, and what
// follows it.
func parseClass(text []rune) (e element, after []rune, problem string) {
	const want = `want a character in [], with a \ before a ] or - that stands for itself`
	// next takes a character, which stands for itself only after a \.
	next := func() (c rune, plain bool) {
		c, text = text[0], text[1:]
		if c == '\\' && len(text) > 0 {
			c, text = text[0], text[1:]
			return c, false
		}
		return c, true
	}
	e.kind = class
	if len(text) > 0 && text[0] == '^' {
		e.kind, text = not, text[1:]
	}
	for len(text) > 0 {
		low, plain := next()
		switch {
		case plain && low == ']' && e.of != nil:
			return e, text, ""
		case plain && (low == ']' || low == '-'):
			return e, nil, want
		}
		high := low
		if len(text) > 1 && text[0] == '-' {
			text = text[1:]
			if high, plain = next(); plain && (high == ']' || high == '-') {
				return e, nil, want
			}
		}
		switch {
		case low > high:
			return e, nil, fmt.Sprintf("want a range in [] from low to high, not from %q to %q", low, high)
		case low == '/' || high == '/':
			return e, nil, "want no slash in [], which never stands for one"
		}
		e.of = append(e.of, [2]rune{low, high})
	}
	return e, nil, "want a ] for every ["
}

// matches reports whether key matches, with rest whether a beginning of it does.
// It takes a look at each character for each element between two *, at most.
func (g glob) matches(key string, rest bool) bool {
	star := -1 // the last * so far
	var upTo int
	for i, e := 0, 0; ; {
		switch {
		case e == len(g) && (rest || i == len(key)):
			return true
		case e < len(g) && g[e].kind == many:
			star, upTo = e, i
			e++
			continue
		case e < len(g):
			if c, size := first(key[i:]); size > 0 && g[e].takes(c) {
				i += size
				e++
				continue
			}
		}
		// The last * takes one more. An earlier one need not: it ends at the first
		// place where what follows it fits, and only slashes could make a later one
		// better, which neither a * nor a class takes.
		c, size := first(key[upTo:])
		if star < 0 || size == 0 || c == '/' {
			return false
		}
		upTo += size
		i, e = upTo, star+1
	}
}

// none is a byte that is of no character.
const none rune = -1

// first returns the first character of s and its size.
func first(s string) (c rune, size int) {
	c, size = utf8.DecodeRuneInString(s)
	if c == utf8.RuneError && size == 1 {
		c = none
	}
	return c, size
}

// takes reports whether e, which is not many, takes c.
func (e *element) takes(c rune) bool {
	switch e.kind {
	case one:
		return c == e.char
	case any1:
		return c != '/'
	}
	in := slices.ContainsFunc(e.of, func(r [2]rune) bool { return r[0] <= c && c <= r[1] })
	return c != '/' && in == (e.kind == class)
}

func (p *pattern) matches(key string) bool {
	switch {
	case !strings.HasPrefix(key, p.literal):
		return false
	case p.glob != nil:
		return p.glob.matches(key[len(p.literal):], p.rest)
	}
	return p.rest || key == p.literal
}

// exact reports whether there is but one key that matches.
func (p *pattern) exact() bool { return p.glob == nil && !p.rest }

// covers reports whether all that other matches is certain to match p.
func (p *pattern) covers(other *pattern) bool {
	switch {
	case p.text == other.text:
		return true
	case p.glob == nil && p.rest:
		return strings.HasPrefix(other.literal, p.literal)
	case other.exact():
		return p.matches(other.literal)
	}
	return false
}
