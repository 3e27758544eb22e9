package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pattern is what a rule matches keys with.
type pattern struct {
	text string
	// literal is the text up to the first character with a meaning of its own.
	literal string
	// glob is what the whole key has to match; nil if literal is all there is.
	// Not path.Match, whose * may end in the middle of a character.
	glob *regexp.Regexp
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
	p.glob, problem = compileGlob([]rune(body), p.rest)
	return p, problem
}

// escaped reports whether what follows s is escaped by a backslash.
func escaped(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// compileGlob returns what matches the keys that glob does, with rest also
// those that go on.
func compileGlob(glob []rune, rest bool) (expr *regexp.Regexp, problem string) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for len(glob) > 0 {
		c := glob[0]
		glob = glob[1:]
		switch c {
		case '*':
			b.WriteString(`[^/]*`)
		case '?':
			b.WriteString(`[^/]`)
		case '[':
			if glob, problem = writeClass(&b, glob); problem != "" {
				return nil, problem
			}
		default:
			if c == '\\' {
				if len(glob) == 0 {
					return nil, `want a character after the last \`
				}
				c, glob = glob[0], glob[1:]
			}
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	if rest {
		b.WriteString(`.*`)
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String()), ""
}

// writeClass writes the class that glob starts with, after its opening bracket,
// and returns what follows it.
func writeClass(b *strings.Builder, glob []rune) (after []rune, problem string) {
	// next takes a character, which stands for itself only after a \.
	next := func() (c rune, plain bool) {
		c, glob = glob[0], glob[1:]
		if c == '\\' && len(glob) > 0 {
			c, glob = glob[0], glob[1:]
			return c, false
		}
		return c, true
	}
	b.WriteByte('[')
	if len(glob) > 0 && glob[0] == '^' {
		glob = glob[1:]
		b.WriteString(`^/`)
	}
	for n := 0; len(glob) > 0; n++ {
		low, plain := next()
		switch {
		case plain && low == ']' && n > 0:
			b.WriteByte(']')
			return glob, ""
		case plain && (low == ']' || low == '-'):
			return nil, `want a character in [], with a \ before a ] or - that stands for itself`
		}
		high := low
		if len(glob) > 1 && glob[0] == '-' {
			glob = glob[1:]
			if high, plain = next(); plain && (high == ']' || high == '-') {
				return nil, `want a character in [], with a \ before a ] or - that stands for itself`
			}
		}
		if low > high {
			return nil, fmt.Sprintf("want a range in [] from low to high, not %c-%c", low, high)
		}
		fmt.Fprintf(b, `\x{%x}-\x{%x}`, low, high)
	}
	return nil, "want a ] for every ["
}

func (p *pattern) matches(key string) bool {
	switch {
	case !strings.HasPrefix(key, p.literal):
		return false
	case p.glob != nil:
		return p.glob.MatchString(key)
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
