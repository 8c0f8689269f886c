// The module github.com/cosmos/ics23/go as a filter, for test_real_ics23.py. Commands on standard input, one a line, words
// in hex, one space between; each is answered by one line.
//
//	spec iavl|tendermint                    the ProofSpec of the library
//	verify SPEC ROOT KEY VALUE|- PROOF      true, false, "panic" or "undecodable"
//	decode PROOF                            the proof as the library writes it again, or "undecodable"
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	ics23 "github.com/cosmos/ics23/go"
)

func bytes(word string) []byte {
	found, err := hex.DecodeString(word)
	if err != nil {
		panic(err)
	}
	return found
}

func verify(spec *ics23.ProofSpec, proof *ics23.CommitmentProof, root, key []byte, value string) (answer string) {
	defer func() {
		if recover() != nil {
			answer = "panic"
		}
	}()
	if value == "-" {
		return fmt.Sprint(ics23.VerifyNonMembership(spec, root, proof, key))
	}
	return fmt.Sprint(ics23.VerifyMembership(spec, root, proof, key, bytes(value)))
}

func answer(words []string) string {
	switch words[0] {
	case "spec":
		spec := map[string]*ics23.ProofSpec{"iavl": ics23.IavlSpec, "tendermint": ics23.TendermintSpec}[words[1]]
		if spec == nil {
			return "-"
		}
		coded, err := spec.Marshal()
		if err != nil {
			panic(err)
		}
		return hex.EncodeToString(coded)
	case "verify":
		var spec ics23.ProofSpec
		if err := spec.Unmarshal(bytes(words[1])); err != nil {
			panic(err)
		}
		var proof ics23.CommitmentProof
		if proof.Unmarshal(bytes(words[5])) != nil {
			return "undecodable"
		}
		return verify(&spec, &proof, bytes(words[2]), bytes(words[3]), words[4])
	case "decode":
		var proof ics23.CommitmentProof
		if proof.Unmarshal(bytes(words[1])) != nil {
			return "undecodable"
		}
		coded, err := proof.Marshal()
		if err != nil {
			panic(err)
		}
		return hex.EncodeToString(coded)
	}
	panic("unknown command")
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprintln(out, answer(strings.Split(strings.TrimSuffix(line, "\n"), " ")))
		out.Flush()
	}
}
