package breaker_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// forUsers are the names that a program needs which guards its calls, watches its
// breakers and overrules them.
var forUsers = []string{
	// a call
	"Acquirer", "Breaker", "Do", "Option", "Permit", "Run",
	"WithClassifier", "WithFallback", "WithResultClassifier", "WithRunFallback",
	// its end
	"Classifier", "Failure", "Ignored", "NotSent", "Outcome", "OutcomeOf", "Success",
	// its rejection
	"ErrNotAllowed", "RejectedError",
	// what a breaker shows
	"Closed", "Event", "HalfOpen", "Listener", "Open", "Snapshot", "SourceOf", "Sources", "State",
	// who decides
	"Auto", "Controller", "DryRun", "ForceClosed", "ForceOpen", "Mode",
	// a breaker of another library
	"Adapt",
}

// forAuthors are the names that only authors need: of a breaker, of an adapter, of
// rules, and of what shows breakers. What a user reads through a field or a method,
// without writing its name, is among them.
var forAuthors = []string{
	// a breaker: its permits, its rejections, the parts of its snapshot
	"AnswerSettler", "CircuitBreaker", "NewPermit", "PauseSettler", "Result", "ResultSettler", "Settler", "Ticket",
	"AsRejected", "NewRejectedError", "Reason",
	"ReasonForcedOpen", "ReasonOpen", "ReasonProbeLimit", "ReasonThrottled", "ReasonUnknown",
	"Totals", "Transitions", "Window",
	// rules
	"Reloads", "Rules",
	// what shows breakers
	"Keyed", "Keys", "Listed", "Source",
}

func TestRoot_HasAtMost35NamesForUsersAndTheOthersStandInAuthorGo(t *testing.T) {
	require.LessOrEqual(t, len(forUsers), 35)
	users, authors := []string{}, []string{}
	for name, file := range exported(t) {
		if file == "author.go" {
			authors = append(authors, name)
		} else {
			users = append(users, name)
		}
	}
	require.ElementsMatch(t, forUsers, users)
	require.ElementsMatch(t, forAuthors, authors)
}

func TestRoot_ThePackagePageNamesWhatIsForAuthorsInASectionOfItsOwn(t *testing.T) {
	pkg, _ := root(t)
	page, section, found := strings.Cut(pkg.Doc, "\n# For authors\n")
	require.True(t, found)
	for _, name := range forAuthors {
		if strings.HasPrefix(name, "Reason") {
			name = "Reason" // its values stand with it
		}
		require.Contains(t, section, "["+name+"]")
		require.NotContains(t, page, "["+name+"]", "the sections for users come without it")
	}
}

// exported returns the file of each exported name of the root package: types,
// functions, constants and variables, not methods.
func exported(t *testing.T) map[string]string {
	pkg, files := root(t)
	found := map[string]string{}
	add := func(name string, pos token.Pos) {
		if token.IsExported(name) {
			found[name] = filepath.Base(files.Position(pos).Filename)
		}
	}
	values := func(all []*doc.Value) {
		for _, v := range all {
			for _, name := range v.Names {
				add(name, v.Decl.Pos())
			}
		}
	}
	funcs := func(all []*doc.Func) {
		for _, f := range all {
			add(f.Name, f.Decl.Pos())
		}
	}
	values(slices.Concat(pkg.Consts, pkg.Vars))
	funcs(pkg.Funcs)
	for _, typ := range pkg.Types {
		add(typ.Name, typ.Decl.Pos())
		values(slices.Concat(typ.Consts, typ.Vars))
		funcs(typ.Funcs)
	}
	return found
}

func root(t *testing.T) (*doc.Package, *token.FileSet) {
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(set, files, "github.com/kratos-breaker/breaker")
	require.NoError(t, err)
	return pkg, set
}
