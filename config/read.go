package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

// What is read may be of several types: a placeholder of Kratos or a variable of the
// environment makes a text of a number or a bool, and a source of Kratos that has no
// format has bytes for a text.

func toText(v any) (string, bool) {
	if b, ok := v.([]byte); ok {
		return string(b), true
	}
	s, ok := v.(string)
	return s, ok
}

// written returns a text, a number or a bool as somebody may have written it.
func written(v any) string {
	if s, ok := toText(v); ok {
		return s
	}
	return fmt.Sprint(v)
}

func toFloat(v any) (float64, bool) {
	n, err := strconv.ParseFloat(written(v), 64)
	return n, err == nil
}

// toInt returns a whole number that an int64 can be, as 1e6 and 20.0 are, too.
func toInt(v any) (int64, bool) {
	if n, err := strconv.ParseInt(written(v), 10, 64); err == nil {
		return n, true
	}
	n, ok := toFloat(v)
	return int64(n), ok && n == math.Trunc(n) && math.Abs(n) < 1<<53
}

func toDuration(v any) (time.Duration, bool) {
	if n, ok := toInt(v); ok && n == 0 {
		return 0, true
	}
	s, ok := toText(v)
	d, err := time.ParseDuration(s)
	return d, ok && err == nil
}

func toBool(v any) (b, ok bool) {
	s := written(v)
	return s == "true", s == "true" || s == "false"
}

// statuses are HTTP statuses from the first to the last.
type statuses struct{ First, Last int }

// MarshalText returns "404" or "500-599".
func (s statuses) MarshalText() ([]byte, error) {
	text := strconv.Itoa(s.First)
	if s.Last > s.First {
		text += "-" + strconv.Itoa(s.Last)
	}
	return []byte(text), nil
}

func toStatuses(v any) (statuses, bool) {
	from, to, isRange := strings.Cut(written(v), "-")
	if !isRange {
		to = from
	}
	first, err1 := strconv.Atoi(strings.TrimSpace(from))
	last, err2 := strconv.Atoi(strings.TrimSpace(to))
	ok := err1 == nil && err2 == nil && bounds.HTTPStatus.Has(int64(first)) && bounds.HTTPStatus.Has(int64(last))
	return statuses{first, last}, ok && first <= last
}

// code is a gRPC code.
type code codes.Code

// MarshalText returns the name.
func (c code) MarshalText() ([]byte, error) { return []byte(codes.Code(c).String()), nil }

// toCode knows the codes by the names of gRPC, NOT_FOUND, and of Go, NotFound.
func toCode(v any) (code, bool) {
	if n, ok := toInt(v); ok {
		return code(n), n >= 1 && n <= int64(codes.Unauthenticated)
	}
	text, _ := toText(v)
	name := strings.ToLower(strings.ReplaceAll(text, "_", ""))
	if name == "cancelled" {
		name = "canceled"
	}
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		if strings.ToLower(c.String()) == name {
			return code(c), true
		}
	}
	return 0, false
}

func toReason(v any) (string, bool) {
	s, ok := toText(v)
	return s, ok && s != ""
}
