package pack

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// tree is a flat folder in memory.
type tree map[string][]byte

// memFS gives the files whose names begin with prefix, without it.
func memFS(files map[string][]byte, prefix string) fs.FS {
	t := tree{}
	for name, data := range files {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			t[short] = data
		}
	}
	return t
}

// Open implements fs.FS.
func (t tree) Open(name string) (fs.File, error) {
	if name == "." {
		entries, _ := t.ReadDir(".")
		return &openDir{left: entries}, nil
	}
	data, ok := t[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openFile{Reader: bytes.NewReader(data), meta: meta{name: name, size: int64(len(data))}}, nil
}

// ReadDir implements fs.ReadDirFS.
func (t tree) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	var out []fs.DirEntry
	for _, n := range slices.Sorted(maps.Keys(t)) {
		out = append(out, fs.FileInfoToDirEntry(meta{name: n, size: int64(len(t[n]))}))
	}
	return out, nil
}

// meta describes a file of a tree.
type meta struct {
	name string
	size int64
	dir  bool
}

func (m meta) Name() string       { return m.name }
func (m meta) Size() int64        { return m.size }
func (m meta) ModTime() time.Time { return time.Time{} }
func (m meta) IsDir() bool        { return m.dir }
func (m meta) Sys() any           { return nil }
func (m meta) Mode() fs.FileMode {
	if m.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

type openFile struct {
	*bytes.Reader
	meta
}

// Size is that of the file: both embedded types have one.
func (f *openFile) Size() int64                { return f.meta.size }
func (f *openFile) Stat() (fs.FileInfo, error) { return f.meta, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct{ left []fs.DirEntry }

func (d *openDir) Stat() (fs.FileInfo, error) { return meta{name: ".", dir: true}, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: ".", Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.left) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.left) {
		n = len(d.left)
	}
	out := d.left[:n]
	d.left = d.left[n:]
	return out, nil
}
