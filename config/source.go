package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Source is where rules are read from: a [File], or another [Text], as the
// configuration of an application is in config/kratos. The zero value is not valid.
type Source struct {
	name    string
	read    func() ([]byte, Format, error)
	section string
}

// File reads a file, whose name ends in .yaml, .yml or .json. Each look opens
// the file by its name, so it does not matter how it is replaced. It may have up
// to 1 MiB.
func File(path string) Source {
	return Source{name: path, read: func() (text []byte, f Format, err error) {
		switch ext := strings.ToLower(filepath.Ext(path)); ext {
		case ".yaml", ".yml":
			f = YAML
		case ".json":
			f = JSON
		default:
			return nil, "", fmt.Errorf("config: %s: want a name that ends in .yaml, .yml or .json", path)
		}
		file, err := os.Open(path)
		if err != nil {
			return nil, "", fmt.Errorf("config: %w", err)
		}
		defer func() { _ = file.Close() }()
		text, err = io.ReadAll(io.LimitReader(file, maxText+1))
		if err != nil {
			err = fmt.Errorf("config: %w", err)
		}
		return text, f, err
	}}
}

// Text reads what f returns, from wherever that is. The name is for errors. It
// panics if f is nil.
func Text(name string, f func() ([]byte, Format, error)) Source {
	if f == nil {
		panic("config: Text: the function is nil")
	}
	return Source{name: name, read: f}
}

// Section takes the rules from a part of what the source has: the value of the
// key, which leads through objects at each dot.
func (s Source) Section(key string) Source {
	if s.section != "" {
		key = s.section + "." + key
	}
	s.section = key
	return s
}

func (s Source) String() string {
	if s.section != "" {
		return s.name + ", section " + s.section
	}
	return s.name
}

// tree returns the part that has the rules.
func (s Source) tree() (any, error) {
	if s.read == nil {
		return nil, errors.New("config: the source is the zero value, want a File or Text")
	}
	text, f, err := s.read()
	if err != nil {
		return nil, err
	}
	v, err := parse(text, f)
	if err != nil || s.section == "" {
		return v, err
	}
	for key := range strings.SplitSeq(s.section, ".") {
		fields, _ := fieldsOf(v)
		ok := false
		if v, ok = fields[key]; !ok {
			return nil, fmt.Errorf("config: there is no section %q", s.section)
		}
	}
	return v, nil
}

// Read returns the rules that are there now. The error is or wraps an
// *[InvalidError] if they are not valid.
func (s Source) Read() (*Set, error) {
	v, err := s.tree()
	if err != nil {
		return nil, s.wrap(err)
	}
	set, err := newSet(v)
	if err != nil {
		return nil, s.wrap(err)
	}
	return set, nil
}

func (s Source) wrap(err error) error {
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return fmt.Errorf("config: %v is not valid:\n%w", s, err)
	}
	return fmt.Errorf("%w, in %v", err, s)
}
