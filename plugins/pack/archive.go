package pack

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// OpenArchive reads a package from the content of an archive.
func OpenArchive(data []byte) (*Package, error) {
	files, err := unzip(data)
	if err != nil {
		return nil, err
	}
	return fromFiles(files)
}

// unzip gives the files of an archive. It trusts nothing that the archive says
// of itself: names, kinds and sizes are those of the table above.
func unzip(data []byte) (map[string][]byte, error) {
	if len(data) > maxArchive {
		return nil, bad("the archive is larger than %d MiB", maxArchive>>20)
	}
	// The directory is read as a whole, and costs much more memory than it is
	// long: so it is counted before.
	if bytes.Count(data, []byte("PK\x01\x02")) > 4*maxFiles {
		return nil, bad("the archive has more than %d files", maxFiles)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, bad("it is no zip archive: %v", err)
	}
	if len(z.File) > maxFiles {
		return nil, bad("the archive has more than %d files", maxFiles)
	}
	files := map[string][]byte{}
	total := 0
	for _, f := range z.File {
		if f.Name == TestsFolder+"/" && f.Mode().IsDir() {
			continue
		}
		if sizeCap(f.Name) == 0 {
			return nil, bad("the archive holds %.100q, which does not belong to a package", f.Name)
		}
		if !f.Mode().IsRegular() || f.Flags&1 != 0 {
			return nil, bad("%s is no plain file", f.Name)
		}
		if _, twice := files[f.Name]; twice {
			return nil, bad("the archive holds %s twice", f.Name)
		}
		content, err := unpack(f)
		if err != nil {
			return nil, err
		}
		if total += len(content); total > maxTotal {
			return nil, bad("its files are larger than %d MiB together", maxTotal>>20)
		}
		files[f.Name] = content
	}
	return files, nil
}

func unpack(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, bad("%s cannot be unpacked: %v", f.Name, err)
	}
	defer r.Close()
	return readCapped(r, f.Name)
}

// zipped gives an archive of the files. The same files give the same octets.
func zipped(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o644)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write(files[name])
		}
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("packing the plugin: %w", err)
	}
	return b.Bytes(), nil
}
