package worker

import (
	"fmt"
	"strings"

	"hauspost/plugins/abi"
)

// pageSize is the unit of guest memory.
const pageSize = 64 << 10

// maxModule is the largest module that is read.
const maxModule = 64 << 20

// The sections of a module, and the kinds of what it imports and exports.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
)

const (
	kindFunction = iota
	kindTable
	kindMemory
	kindGlobal
)

// The types of values.
const (
	typeI32  = 0x7f
	typeI64  = 0x7e
	typeF32  = 0x7d
	typeF64  = 0x7c
	typeV128 = 0x7b
	typeFunc = 0x70
	typeRef  = 0x6f
)

// ModuleError says in words why a module cannot be used.
type ModuleError string

// Error implements error.
func (e ModuleError) Error() string { return string(e) }

func moduleError(format string, args ...any) error {
	return ModuleError(fmt.Sprintf(format, args...))
}

// signature is the type of a function; each octet of it is the type of a value.
type signature struct{ params, results string }

// String writes the type as in the text format: "(i32, i64) -> i32".
func (s signature) String() string {
	return "(" + typeNames(s.params) + ") -> " + orNothing(typeNames(s.results))
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func typeNames(types string) string {
	names := make([]string, len(types))
	for i := range len(types) {
		switch types[i] {
		case typeI32:
			names[i] = "i32"
		case typeI64:
			names[i] = "i64"
		case typeF32:
			names[i] = "f32"
		case typeF64:
			names[i] = "f64"
		case typeV128:
			names[i] = "v128"
		default:
			names[i] = "reference"
		}
	}
	return strings.Join(names, ", ")
}

// imported is one function that a module imports.
type imported struct {
	module, name string
	typ          signature
}

// exported is one export.
type exported struct {
	kind  byte
	index uint32
}

// section is a part of the binary; content is without its head.
type section struct {
	id      byte
	content []byte
}

// module is what is read of a module.
type module struct {
	sections []section
	types    []signature
	imports  []imported
	// functions are the types of the module's own functions.
	functions []uint32
	exports   map[string]exported
	// mutable are the indexes of the module's mutable globals.
	mutable []uint32
	globals uint32
	// minPages and maxPages bound the memory; maxPages is 0 where the module
	// does not say.
	memories           int
	minPages, maxPages uint32
	// namesData tells that there are instructions on data segments.
	namesData bool
	// fixed says why an instance cannot be set back; empty where it can.
	fixed string
}

// parseModule reads a module as far as the worker must know it. It does not
// validate: the compiler does.
func parseModule(b []byte) (*module, error) {
	if len(b) > maxModule {
		return nil, moduleError("the module has %d octets; %d is the most", len(b), maxModule)
	}
	if len(b) < 8 || string(b[:4]) != "\x00asm" {
		return nil, ModuleError("this is no WebAssembly module")
	}
	if string(b[4:8]) != "\x01\x00\x00\x00" {
		return nil, ModuleError("this is no WebAssembly core module of version 1; components do not work here")
	}
	m := &module{exports: map[string]exported{}}
	r := reader{b: b, at: 8}
	seen := 0
	for r.left() > 0 {
		id := r.byte()
		content := r.bytes(r.u32())
		if r.bad || id > sectionDataCount || id != sectionCustom && seen&(1<<id) != 0 {
			return nil, ModuleError("the module is damaged: its sections cannot be read")
		}
		seen |= 1 << id
		m.sections = append(m.sections, section{id: id, content: content})
		if err := m.section(id, content); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *module) section(id byte, content []byte) error {
	r := reader{b: content}
	var err error
	switch id {
	case sectionType:
		m.readTypes(&r)
	case sectionImport:
		err = m.readImports(&r)
	case sectionFunction:
		for range r.count() {
			m.functions = append(m.functions, r.u32())
		}
	case sectionMemory:
		m.readMemory(&r)
	case sectionGlobal:
		m.readGlobals(&r)
	case sectionExport:
		for range r.count() {
			name := r.name()
			m.exports[name] = exported{kind: r.byte(), index: r.u32()}
		}
	case sectionCode:
		m.readCode(&r)
	}
	if err == nil && r.bad {
		err = moduleError("the module is damaged: its section %d cannot be read", id)
	}
	return err
}

func (m *module) readTypes(r *reader) {
	for range r.count() {
		if r.byte() != 0x60 {
			r.fail()
			return
		}
		s := signature{params: r.name(), results: r.name()}
		for _, typ := range []byte(s.params + s.results) {
			if !isValueType(typ) {
				r.fail()
				return
			}
		}
		m.types = append(m.types, s)
	}
}

func (m *module) readImports(r *reader) error {
	for range r.count() {
		i := imported{module: r.name(), name: r.name()}
		if kind := r.byte(); kind != kindFunction && !r.bad {
			return moduleError("the module imports %s of %s, which is no function; only functions can be imported", plain(i.name), plain(i.module))
		}
		t := r.u32()
		if r.bad || uint64(t) >= uint64(len(m.types)) {
			r.fail()
			return nil
		}
		i.typ = m.types[t]
		m.imports = append(m.imports, i)
	}
	return nil
}

func (m *module) readMemory(r *reader) {
	for range r.count() {
		m.memories++
		switch flags := r.byte(); flags {
		case 0:
			m.minPages = r.u32()
		case 1:
			m.minPages = r.u32()
			m.maxPages = max(r.u32(), 1)
		default:
			r.fail()
		}
	}
}

func (m *module) readGlobals(r *reader) {
	n := r.count()
	for range n {
		typ, mutable := r.byte(), r.byte()
		m.skipExpression(r)
		if r.bad {
			return
		}
		if mutable != 0 {
			m.mutable = append(m.mutable, m.globals)
			if typ < typeF64 || typ > typeI32 {
				m.fix("it has a mutable global that is no number")
			}
		}
		m.globals++
	}
}

// fix notes why an instance cannot be set back.
func (m *module) fix(why string) {
	if m.fixed == "" {
		m.fixed = why
	}
}

// poolable tells whether all state of an instance is in its memory and its
// mutable globals, so that it can be set back.
func (m *module) poolable() bool { return m.fixed == "" }

// function gives the type of an exported function.
func (m *module) function(name string) (signature, bool) {
	e, ok := m.exports[name]
	if !ok || e.kind != kindFunction {
		return signature{}, false
	}
	if uint64(e.index) < uint64(len(m.imports)) {
		return m.imports[e.index].typ, true
	}
	own := uint64(e.index) - uint64(len(m.imports))
	if own >= uint64(len(m.functions)) || uint64(m.functions[own]) >= uint64(len(m.types)) {
		return signature{}, false
	}
	return m.types[m.functions[own]], true
}

// globalPrefix begins the names under which rewrite exports globals.
const globalPrefix = "hauspost:global:"

func globalName(index uint32) string { return fmt.Sprint(globalPrefix, index) }

// rewrite gives the module with all its mutable globals exported, and without
// the upper bound of its memory: the allocator holds to it, and can then set
// the size of a memory back (see linear). Custom sections are left out but for
// the names of functions, which make traps readable. Data may be merged.
func (m *module) rewrite() []byte {
	var data []byte
	merged := false
	for _, s := range m.sections {
		if s.id == sectionData {
			data, merged = m.mergeData(s.content)
		}
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range m.sections {
		if merged && s.id == sectionData {
			s.content = data
		}
		switch s.id {
		case sectionDataCount:
			if !merged { // only instructions on segments need the number
				out = appendSection(out, s.id, s.content)
			}
		case sectionCustom:
			r := reader{b: s.content}
			if r.name() != "name" {
				continue
			}
			out = appendSection(out, s.id, s.content)
		case sectionMemory:
			out = appendSection(out, s.id, appendU32([]byte{1, 0}, m.minPages))
		case sectionExport:
			r := reader{b: s.content}
			n := r.u32()
			content := append(appendU32(nil, n+uint32(len(m.mutable))), r.b[r.at:]...)
			for _, g := range m.mutable {
				content = append(appendName(content, globalName(g)), kindGlobal)
				content = appendU32(content, g)
			}
			out = appendSection(out, s.id, content)
		default:
			out = appendSection(out, s.id, s.content)
		}
	}
	return out
}

// check tells what keeps the module from being a plugin that serves the given
// stages with the given limit of memory in octets.
func (m *module) check(stages []abi.Stage, memory int64) error {
	if e, ok := m.exports["memory"]; !ok || e.kind != kindMemory || m.memories != 1 {
		return ModuleError(`the module does not export its memory as "memory"; plugins/abi says how guests look`)
	}
	if int64(m.minPages)*pageSize > memory {
		return moduleError("the module needs %d KB of memory from the start, and its limit is %d KB; give it more in the manifest's limits", m.minPages*64, memory>>10)
	}
	for name := range m.exports {
		if strings.HasPrefix(name, globalPrefix) {
			return moduleError("the module exports %s; names that begin with %s are the host's", plain(name), globalPrefix)
		}
	}
	for _, s := range stages {
		typ, ok := m.function(s.String())
		if !ok {
			return moduleError("the manifest says that the plugin serves %s, but its module exports no such function", s)
		}
		if typ != (signature{results: string(rune(typeI32))}) {
			return moduleError("the module's function %s has the type %s; it must be () -> i32", s, typ)
		}
	}
	if typ, ok := m.function("_initialize"); ok && typ != (signature{}) {
		return moduleError("the module's function _initialize has the type %s; it must take and give nothing", typ)
	}
	return nil
}

// plain makes a name of a module fit for people: short, and without characters
// that do something.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	if s == "" {
		return `""`
	}
	return s
}
