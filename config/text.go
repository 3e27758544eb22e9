package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
	"gopkg.in/yaml.v3"

	conf "github.com/kratos-breaker/breaker/api/breaker/conf/v1"
)

// Format says how rules are written.
type Format string

// The formats.
const (
	YAML Format = "yaml"
	JSON Format = "json"
)

// Parse reads rules. The error is an *[InvalidError] if the text could be read
// and the rules in it are not valid.
func Parse(text []byte, f Format) (*Set, error) {
	tree, err := parse(text, f)
	if err != nil {
		return nil, err
	}
	return newSet(tree)
}

// FromProto reads rules from a message. The error is an *[InvalidError] if the
// message could be written as JSON and the rules in it are not valid.
func FromProto(m *conf.Rules) (*Set, error) {
	if m == nil {
		return nil, errors.New("config: FromProto: the message is nil")
	}
	if unknown(m.ProtoReflect()) { // protojson would leave it out
		return nil, &InvalidError{[]*FieldError{{Path: fieldName("(fields of another version)"), Problem: "unknown field"}}}
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("config: FromProto: %w", err)
	}
	return Parse(text, JSON)
}

// unknown reports whether a message has fields of another version of it.
func unknown(m protoreflect.Message) (is bool) {
	_ = protorange.Range(m, func(p protopath.Values) error {
		if m, ok := p.Index(-1).Value.Interface().(protoreflect.Message); ok {
			is = is || len(m.GetUnknown()) > 0
		}
		return nil
	})
	return is
}

const maxText = 1 << 20 // bytes

// parse returns the text as a tree of map[string]any, []any and scalars.
func parse(text []byte, f Format) (any, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("config: the text has %d bytes, want at most %d", len(text), maxText)
	}
	switch f {
	case YAML:
		return parseYAML(text)
	case JSON:
		return parseJSON(text)
	}
	return nil, fmt.Errorf("config: the format is %q, want %q or %q", f, YAML, JSON)
}

func parseYAML(text []byte) (any, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var tree, more any
	if err := d.Decode(&tree); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err := d.Decode(&more); err == nil {
		return nil, errors.New("config: yaml: want one document")
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("config: %w", err)
	}
	return tree, nil
}

// parseJSON differs from encoding/json: a key that is there twice is an error.
func parseJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	tree, err := jsonValue(d, 0)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("config: json: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("config: json: want one value")
	}
	return tree, nil
}

const maxDepth = 100

func jsonValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	var list []any
	object := make(map[string]any)
	for d.More() {
		key := ""
		if open == '{' {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ = token.(string)
			if _, twice := object[key]; twice {
				return nil, fmt.Errorf("key %q is there twice", key)
			}
		}
		v, err := jsonValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		if open == '{' {
			object[key] = v
		} else {
			list = append(list, v)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if open == '{' {
		return object, nil
	}
	return append([]any{}, list...), nil
}
