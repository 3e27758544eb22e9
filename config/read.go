package config

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

// What is read from a text may be of several types: a placeholder of Kratos or a
// variable of the environment makes a text of a number or a bool.

func toText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte: // a source of Kratos that has no format
		return string(v), true
	}
	return "", false
}

// toFloat returns a number. One that is too large is infinite.
func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case json.Number:
		n, err := strconv.ParseFloat(v.String(), 64)
		return n, err == nil || math.IsInf(n, 0)
	}
	s, ok := toText(v)
	n, err := strconv.ParseFloat(s, 64)
	return n, ok && err == nil
}

// toInt returns a whole number that an int64 can be.
func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64
	}
	s, ok := toText(v)
	if n, isNumber := v.(json.Number); isNumber {
		s, ok = n.String(), true
	}
	if n, err := strconv.ParseInt(s, 10, 64); ok && err == nil {
		return n, true
	}
	// 1e6 and 20.0 are whole, too.
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

func toBool(v any) (bool, bool) {
	for _, b := range []bool{false, true} {
		if v == any(b) || v == any(strconv.FormatBool(b)) {
			return b, true
		}
	}
	return false, false
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

func toStatuses(v any) (any, bool) {
	text, _ := toText(v)
	if n, ok := toInt(v); ok {
		text = strconv.FormatInt(n, 10)
	}
	from, to, isRange := strings.Cut(text, "-")
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
func toCode(v any) (any, bool) {
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
	return nil, false
}

func toReason(v any) (any, bool) {
	s, ok := toText(v)
	return s, ok && s != ""
}
