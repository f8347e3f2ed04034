package appliance

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// TestContentFiles holds that plugins get the whole message, in a file without
// a name that they cannot change.
func TestContentFiles(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1000, inMemory + 1} {
		dir := t.TempDir()
		content := bytes.Repeat([]byte("x"), size)
		f, err := contentFile(dir, int64(size), func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d octets read of %d (%v)", len(got), size, err)
		}
		if _, err := f.WriteAt([]byte("y"), 0); err == nil {
			t.Errorf("a message of %d octets can be written", size)
		}
		if err := f.Truncate(1 << 20); err == nil {
			t.Errorf("a message of %d octets can be truncated", size)
		}
		if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
			t.Errorf("the folder holds %v (%v)", names, err)
		}
	}
}

// TestContentFileOfOldFolders holds that the same is so where the file system has
// no files without a name.
func TestContentFileOfOldFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := namedFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if f, err = readOnly(f); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "hello" {
		t.Errorf("%q (%v)", got, err)
	}
	if _, err := f.WriteAt([]byte("y"), 0); err == nil {
		t.Error("it can be written")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("the folder holds %v (%v)", names, err)
	}
}
