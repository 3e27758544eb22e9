package shape_test

// The test here keeps packages small enough for a stranger. It logs the numbers:
// go test -v ./internal/shape

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The most that a stranger has to hold in mind at once.
const (
	maxFile     = 450 // lines
	maxFunction = 50  // lines
	maxMethods  = 30  // of a type
	maxMutual   = 4   // at most one of so many pairs of files use each other
)

// rooms are the packages that are held to it.
var rooms = []string{"circuit", "circuit/internal/rule", "internal/mode", "internal/option"}

func TestShape_NoRoomIsTooLargeAndContractsBetweenFilesGoOneWay(t *testing.T) {
	set := token.NewFileSet()
	imports := importer.ForCompiler(set, "source", nil) // it reads each import once
	for _, dir := range rooms {
		t.Run(dir, func(t *testing.T) {
			p := load(t, dir, set, imports)
			for _, f := range p.files {
				require.LessOrEqual(t, p.line(f.End()), maxFile, p.name(f.Pos()))
			}
			methods := p.methods(t)
			for name, n := range methods {
				require.LessOrEqual(t, n, maxMethods, "methods of %s", name)
			}
			pairs, mutual := p.pairs()
			require.LessOrEqual(t, maxMutual*len(mutual), pairs, "%v", mutual)
			t.Logf("%d lines in %d files; %d of %d pairs of files use each other; methods: %v",
				p.lines(), len(p.files), len(mutual), pairs, methods)
		})
	}
}

// room is a package without its tests.
type room struct {
	set   *token.FileSet
	files []*ast.File
	pkg   *types.Package
	info  types.Info
}

func load(t *testing.T, dir string, set *token.FileSet, imports types.Importer) *room {
	t.Helper()
	p := &room{set: set, info: types.Info{Uses: map[*ast.Ident]types.Object{}}}
	names, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(p.set, name, nil, 0)
		require.NoError(t, err)
		p.files = append(p.files, f)
	}
	require.NotEmpty(t, p.files)
	check := types.Config{Importer: imports}
	p.pkg, err = check.Check(dir, p.set, p.files, &p.info)
	require.NoError(t, err)
	return p
}

func (p *room) name(at token.Pos) string { return filepath.Base(p.set.Position(at).Filename) }

func (p *room) line(at token.Pos) int { return p.set.Position(at).Line }

func (p *room) lines() (n int) {
	for _, f := range p.files {
		n += p.line(f.End())
	}
	return n
}

// methods counts the methods of each type, and looks at how long functions are.
func (p *room) methods(t *testing.T) map[string]int {
	t.Helper()
	methods := map[string]int{}
	for _, f := range p.files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			require.LessOrEqual(t, p.line(fn.End())-p.line(fn.Pos())+1, maxFunction, fn.Name.Name)
			if fn.Recv != nil {
				methods[strings.TrimPrefix(types.ExprString(fn.Recv.List[0].Type), "*")]++
			}
		}
	}
	return methods
}

// pairs counts the pairs of files, and names those that use what the other one
// declares, types, fields and methods, both ways.
func (p *room) pairs() (all int, mutual []string) {
	uses := map[[2]string]bool{}
	for id, o := range p.info.Uses {
		v, variable := o.(*types.Var)
		if o.Pkg() == p.pkg && (!variable || v.IsField() || v.Parent() == p.pkg.Scope()) {
			uses[[2]string{p.name(id.Pos()), p.name(o.Pos())}] = true
		}
	}
	for i, f := range p.files {
		for _, g := range p.files[i+1:] {
			a, b := p.name(f.Pos()), p.name(g.Pos())
			all++
			if uses[[2]string{a, b}] && uses[[2]string{b, a}] {
				mutual = append(mutual, fmt.Sprintf("%s and %s", a, b))
			}
		}
	}
	return all, mutual
}
