// Package docs_test holds the tests of README.md and docs.
package docs_test

import (
	"log"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests in the root folder: documents name files as seen from there.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		log.Fatal(err)
	}
	goleak.VerifyTestMain(m)
}
