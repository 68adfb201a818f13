package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// output is a file that appears whole under its name, or not at all.
type output struct {
	*os.File
	path    string
	replace bool
	in      input
}

// input is a file that is signed, and what it was when it was opened.
type input struct {
	file *os.File
	info os.FileInfo
}

// unchanged refuses a file that somebody has written to since: what was digested would not be
// what is copied.
func (i input) unchanged() error {
	now, err := i.file.Stat()
	if err == nil && (now.Size() != i.info.Size() || !now.ModTime().Equal(i.info.ModTime())) {
		err = refuse("INPUT_CHANGED", errors.New("the file was changed while it was read; sign it again"))
	}
	return err
}

// create begins a file beside path. It refuses to replace what is there, unless asked to, and
// never replaces the input.
func create(path string, replace bool, in input) (*output, error) {
	if err := free(path, replace, in.info); err != nil {
		return nil, err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // what a link leads to is replaced, and not the link
	}
	file, err := temporary(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return &output{File: file, path: path, replace: replace, in: in}, nil
}

// temporary makes a file that may be read by whom the user's files may be read: the mask of the
// process applies.
func temporary(folder string) (*os.File, error) {
	const mode = 0o666
	for {
		file, err := os.OpenFile(filepath.Join(folder, ".signbus-"+rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // the user's own folder
		if failed, ok := errors.AsType[*fs.PathError](err); ok {
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			failed.Path = folder
		}
		return file, err
	}
}

// free tells whether a file may be written, before the work for it is done.
func free(path string, replace bool, input os.FileInfo) error {
	there, err := os.Stat(path)
	switch {
	case err == nil && os.SameFile(there, input):
		return refuse("OUTPUT_IS_INPUT", fmt.Errorf("%s is the file to sign, which is never altered; write to another file", path))
	case err == nil && there.IsDir():
		return refuse("OUTPUT_EXISTS", fmt.Errorf("%s is a folder; name a file", path))
	case err == nil && !there.Mode().IsRegular():
		return refuse("OUTPUT_EXISTS", fmt.Errorf("%s is a device or a pipe; name a file", path))
	case err == nil && !replace:
		return exists(path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

func exists(path string) error {
	return refuse("OUTPUT_EXISTS", fmt.Errorf("%s is already there; name another file, or use --force", path))
}

// commit gives the file its name, once it is on disk.
func (o *output) commit() error {
	if err := errors.Join(o.in.unchanged(), o.Sync(), o.Close()); err != nil {
		return err
	}
	if err := o.place(); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(o.path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// place never replaces a file that came to be meanwhile, unless that was asked for.
func (o *output) place() error {
	if o.replace {
		return os.Rename(o.Name(), o.path)
	}
	err := os.Link(o.Name(), o.path)
	if errors.Is(err, fs.ErrExist) {
		return exists(o.path)
	}
	if err != nil { // a file system without hard links
		return os.Rename(o.Name(), o.path)
	}
	return nil
}

// discard removes what was not committed, and the second name of what was.
func (o *output) discard() {
	_ = o.Close()
	_ = os.Remove(o.Name())
}
