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
	// glob is what follows literal; nil if that is all there is.
	glob *regexp.Regexp
	rest bool // whether the text ends in *, so that anything may follow
}

const maxPattern = 256 // bytes; a group shortens longer keys

// readPattern reads the pattern of a rule.
func readPattern(v any) (any, string) {
	s, ok := toText(v)
	if !ok {
		return nil, "want text"
	}
	p, problem := parsePattern(s)
	return p, problem
}

// parsePattern returns the pattern that text is, or what is wrong with it.
func parsePattern(text string) (p pattern, problem string) {
	p.text = text
	switch {
	case text == "":
		return p, "want " + wantMatch
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
	expr, problem := expression([]rune(body[i:]))
	if problem != "" {
		return p, problem
	}
	if p.rest {
		expr += `(?s:.*)`
	}
	p.glob = regexp.MustCompile(`\A(?:` + expr + `)\z`)
	return p, ""
}

// escaped reports whether what follows s is escaped by a backslash.
func escaped(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// expression returns the regular expression that a glob is. The match of path would
// do but for a * that may end in the middle of a character, and a class that a slash
// may be in.
func expression(text []rune) (expr, problem string) {
	for len(text) > 0 {
		c := text[0]
		text = text[1:]
		switch c {
		case '*':
			expr += `[^/]*`
		case '?':
			expr += `[^/]`
		case '[':
			class := ""
			if class, text, problem = parseClass(text); problem != "" {
				return "", problem
			}
			expr += class
		case '\\':
			if len(text) == 0 {
				return "", `want a character after the last \`
			}
			c, text = text[0], text[1:]
			fallthrough
		default:
			expr += regexp.QuoteMeta(string(c))
		}
	}
	return expr, ""
}

// parseClass returns the class that text has after its opening bracket, and what
// follows it.
func parseClass(text []rune) (class string, after []rune, problem string) {
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
	class = `[`
	if len(text) > 0 && text[0] == '^' {
		class, text = `[^/`, text[1:]
	}
	for empty := true; len(text) > 0; empty = false {
		low, plain := next()
		switch {
		case plain && low == ']' && !empty:
			return class + `]`, text, ""
		case plain && (low == ']' || low == '-'):
			return "", nil, want
		}
		high := low
		if len(text) > 1 && text[0] == '-' {
			text = text[1:]
			if high, plain = next(); plain && (high == ']' || high == '-') {
				return "", nil, want
			}
		}
		switch {
		case low > high:
			return "", nil, fmt.Sprintf("want a range in [] from low to high, not from %q to %q", low, high)
		case low == '/' || high == '/':
			return "", nil, "want no slash in [], which never stands for one"
		case low < '/' && '/' < high:
			class += fmt.Sprintf(`\x{%x}-.0-\x{%x}`, low, high) // all but the slash
		default:
			class += fmt.Sprintf(`\x{%x}-\x{%x}`, low, high)
		}
	}
	return "", nil, "want a ] for every ["
}

func (p *pattern) matches(key string) bool {
	switch {
	case !strings.HasPrefix(key, p.literal):
		return false
	case p.glob != nil:
		return p.glob.MatchString(characters(key[len(p.literal):]))
	}
	return p.rest || key == p.literal
}

// characters returns s with a character that nobody writes for each byte that is of
// none: package regexp takes those for U+FFFD.
func characters(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var all []rune
	for len(s) > 0 {
		c, size := utf8.DecodeRuneInString(s)
		if c == utf8.RuneError && size == 1 {
			c = utf8.MaxRune
		}
		all, s = append(all, c), s[size:]
	}
	return string(all)
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
