// Command go checks trees and signed notes with Go's own golang.org/x/mod/sumdb.
//
// Each line of standard input is a JSON object: the proofs of one size of the log
// whose leaf n is the 8 bytes of n, or a note and what is to be found of it. It
// ends with 0 and prints how many lines there were, or with 1 and what does not hold.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type line struct {
	Tree *tree
	Note *signed
}

// tree is a log of Size leaves, with all its proofs of one kind: Inclusion[n] is that
// of leaf n, Consistency[n] shows that it begins with the log of n+1 leaves. A proof
// is its hashes, one after the other.
type tree struct {
	Size        int64
	Root        tlog.Hash
	Inclusion   [][]byte
	Consistency [][]byte
}

// signed is a note, the keys that are trusted, and whether one of them must be
// found to vouch for it. With Secrets, these must sign Text in the same bytes.
type signed struct {
	Note     string
	Trusted  []string
	Accepted bool
	Text     string
	Secrets  []string
}

// stored holds the hashes of the log as Go numbers them, roots those of each size.
var (
	stored []tlog.Hash
	roots  = []tlog.Hash{{}}
)

func readHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, 0, len(indexes))
	for _, index := range indexes {
		found = append(found, stored[index])
	}
	return found, nil
}

func hashes(proof []byte) []tlog.Hash {
	found := make([]tlog.Hash, len(proof)/tlog.HashSize)
	for n := range found {
		copy(found[n][:], proof[n*tlog.HashSize:])
	}
	return found
}

func leaf(n int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n))
}

// grow appends leaves until the log has size of them.
func grow(size int64) error {
	for n := int64(len(roots)) - 1; n < size; n++ {
		hashes, err := tlog.StoredHashes(n, leaf(n), tlog.HashReaderFunc(readHashes))
		if err != nil {
			return err
		}
		stored = append(stored, hashes...)
		root, err := tlog.TreeHash(n+1, tlog.HashReaderFunc(readHashes))
		if err != nil {
			return err
		}
		roots = append(roots, root)
	}
	return nil
}

func (t *tree) check() error {
	if err := grow(t.Size); err != nil {
		return err
	}
	if t.Root != roots[t.Size] {
		return fmt.Errorf("size %d: the root is %v, not %v", t.Size, roots[t.Size], t.Root)
	}
	if int64(len(t.Inclusion)+len(t.Consistency)) != t.Size {
		return fmt.Errorf("size %d: proofs are missing", t.Size)
	}
	for n, proof := range t.Inclusion {
		if err := tlog.CheckRecord(hashes(proof), t.Size, t.Root, int64(n), tlog.RecordHash(leaf(int64(n)))); err != nil {
			return fmt.Errorf("leaf %d of %d: %w", n, t.Size, err)
		}
	}
	for n, proof := range t.Consistency {
		old := int64(n) + 1
		if err := tlog.CheckTree(hashes(proof), t.Size, t.Root, old, roots[old]); err != nil {
			return fmt.Errorf("from %d to %d: %w", old, t.Size, err)
		}
	}
	return nil
}

func (s *signed) check() error {
	var verifiers []note.Verifier
	for _, key := range s.Trusted {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open([]byte(s.Note), note.VerifierList(verifiers...))
	if (err == nil) != s.Accepted {
		return fmt.Errorf("%q: %v", s.Note, err)
	}
	if len(s.Secrets) == 0 {
		return nil
	}
	if opened.Text != s.Text || len(opened.Sigs) != len(s.Secrets) {
		return fmt.Errorf("not what was signed, or not by all: %q", s.Note)
	}
	var signers []note.Signer
	for _, secret := range s.Secrets {
		signer, err := note.NewSigner(secret)
		if err != nil {
			return err
		}
		signers = append(signers, signer)
	}
	own, err := note.Sign(&note.Note{Text: s.Text}, signers...)
	if err != nil {
		return err
	}
	if string(own) != s.Note {
		return fmt.Errorf("Go signs %q, not %q", own, s.Note)
	}
	return nil
}

func check(text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	switch {
	case l.Tree != nil:
		return l.Tree.check()
	case l.Note != nil:
		return l.Note.check()
	}
	return errors.New("neither a tree nor a note")
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	count := 0
	for lines.Scan() {
		count++
		if err := check(lines.Bytes()); err != nil {
			fmt.Fprintf(os.Stderr, "line %d: %v\n", count, err)
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(count)
}
