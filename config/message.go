package config

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	conf "github.com/kratos-breaker/breaker/api/breaker/conf/v1"
)

// FromProto reads rules from a message. The error is an *[InvalidError] if they
// are not valid.
func FromProto(m *conf.Rules) (*Set, error) {
	if m == nil {
		return nil, errors.New("config: FromProto: the message is nil")
	}
	return newSet(messageTree(m.ProtoReflect()))
}

// unknownFields is the name of what a message holds that this version of it has
// no field for.
const unknownFields = "(fields of another version)"

// messageTree returns the fields of m that are set, in the shape of a parsed
// text.
func messageTree(m protoreflect.Message) any {
	if d, ok := m.Interface().(*durationpb.Duration); ok {
		return duration(d)
	}
	tree := make(map[string]any)
	for field, v := range m.Range {
		name := field.TextName()
		switch {
		case field.IsList():
			list := []any{}
			for i := range v.List().Len() {
				list = append(list, messageScalar(v.List().Get(i)))
			}
			tree[name] = list
		default:
			tree[name] = messageScalar(v)
		}
	}
	if len(m.GetUnknown()) > 0 {
		tree[unknownFields] = true
	}
	return tree
}

func messageScalar(v protoreflect.Value) any {
	if m, ok := v.Interface().(protoreflect.Message); ok {
		return messageTree(m)
	}
	return v.Interface()
}

// duration returns d as a time.Duration, or else as text that is none:
// AsDuration would change it in silence.
func duration(d *durationpb.Duration) any {
	if d.CheckValid() == nil && proto.Equal(durationpb.New(d.AsDuration()), d) {
		return d.AsDuration()
	}
	return fmt.Sprintf("%d s and %d ns", d.GetSeconds(), d.GetNanos())
}
