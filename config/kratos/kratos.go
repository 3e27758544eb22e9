// Package kratos reads rules from the configuration of a Kratos v2 application. It
// stands apart from package config so that who has no Kratos, or another version of
// it, need not link it.
package kratos

import (
	kratosconfig "github.com/go-kratos/kratos/v2/config"

	"github.com/kratos-breaker/breaker/config"
)

// Source reads the configuration of an application, of which [config.Source.Section]
// takes a part. It must be loaded before. All sources of the configuration
// count, in their order, and placeholders are resolved.
//
// Nothing watches it: Kratos has one observer for each key, which another one
// replaces without a word; it cannot watch a key that is not there; and a null in
// a key that somebody watches ends the process. [config.Rules.Follow] looks at it
// instead, as at a file. It panics if c is nil.
func Source(c kratosconfig.Config) config.Source {
	if c == nil {
		panic("config/kratos: Source: the configuration is nil")
	}
	return config.Text("the configuration", func() ([]byte, config.Format, error) {
		var all rawText
		if err := c.Scan(&all); err != nil {
			return nil, "", err
		}
		return all, config.JSON, nil
	})
}

// rawText takes the JSON that Kratos scans into it.
type rawText []byte

// UnmarshalJSON keeps the text.
func (t *rawText) UnmarshalJSON(text []byte) error {
	*t = append(rawText(nil), text...)
	return nil
}
