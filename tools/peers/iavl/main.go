// Command iavl drives the real cosmos/iavl v1 for ../peer.py, which describes what it reads and writes.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cosmos/iavl"
	"github.com/cosmos/iavl/db"
)

// A write is a key with its new value, or with nil to remove it.
type write struct{ key, value []byte }

const removed = 0xFFFFFFFF // in place of the length of a value

func main() {
	backend := flag.String("backend", "memdb", "memdb or goleveldb")
	directory := flag.String("dir", "", "where goleveldb puts its files")
	cache := flag.Int("cache", 100_000, "nodes in the cache")
	fast := flag.Bool("fast", true, "keep fast nodes")
	sync := flag.Bool("sync", false, "flush each version to the disk")
	flag.Parse()
	if err := serve(*backend, *directory, *cache, *fast, *sync); err != nil {
		fmt.Fprintln(os.Stderr, "iavl:", err)
		os.Exit(1)
	}
}

func serve(backend, directory string, cache int, fast, sync bool) error {
	store, err := open(backend, directory)
	if err != nil {
		return err
	}
	defer store.Close()
	tree := iavl.NewMutableTree(store, cache, !fast, iavl.NewNopLogger(), iavl.SyncOption(sync))
	if _, err := tree.Load(); err != nil {
		return err
	}
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	for {
		kind, writes, err := read(in)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		_ = kind // there is but one way to apply a version
		root, times, err := apply(tree, writes)
		if err != nil {
			return err
		}
		out.Write(root)
		binary.Write(out, binary.LittleEndian, uint32(len(times)))
		for _, elapsed := range times {
			binary.Write(out, binary.LittleEndian, uint64(elapsed.Nanoseconds()))
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

func open(backend, directory string) (db.DB, error) {
	switch backend {
	case "memdb":
		return db.NewMemDB(), nil
	case "goleveldb":
		return db.NewGoLevelDB("state", directory)
	}
	return nil, fmt.Errorf("no backend %q", backend)
}

// The root after one more version; how long its hash took, and how long saving it took then.
func apply(tree *iavl.MutableTree, writes []write) ([]byte, []time.Duration, error) {
	began := time.Now()
	for _, w := range writes {
		var err error
		if w.value == nil {
			_, _, err = tree.Remove(w.key)
		} else {
			_, err = tree.Set(w.key, w.value)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	working := tree.WorkingHash()
	hashed := time.Now()
	root, _, err := tree.SaveVersion()
	if err != nil {
		return nil, nil, err
	}
	saved := time.Now()
	if !bytes.Equal(root, working) {
		return nil, nil, errors.New("the root saved is not the root before saving")
	}
	return root, []time.Duration{hashed.Sub(began), saved.Sub(hashed)}, nil
}

// One version; io.EOF if there are no more.
func read(in *bufio.Reader) (kind byte, writes []write, err error) {
	if kind, err = in.ReadByte(); err != nil {
		return
	}
	var count uint32
	if err = binary.Read(in, binary.LittleEndian, &count); err != nil {
		return kind, nil, errors.New("cut off within a version")
	}
	writes = make([]write, count)
	var lengths [8]byte
	for i := range writes {
		if _, err = io.ReadFull(in, lengths[:]); err != nil {
			return kind, nil, errors.New("cut off within a version")
		}
		key, value := binary.LittleEndian.Uint32(lengths[:4]), binary.LittleEndian.Uint32(lengths[4:])
		writes[i].key = make([]byte, key)
		if value != removed {
			writes[i].value = make([]byte, value)
		}
		if _, err = io.ReadFull(in, writes[i].key); err == nil {
			_, err = io.ReadFull(in, writes[i].value)
		}
		if err != nil {
			return kind, nil, errors.New("cut off within a version")
		}
	}
	return kind, writes, nil
}
