//go:build v2

package main

import _ "github.com/go-kratos/kratos/v2/errors"
