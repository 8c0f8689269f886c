"""Decoders fuzzed by coverage, of Python and of C: with atheris, and where clang is there with AddressSanitizer.

    python tests/fuzz/campaign.py                          every decoder for ten seconds
    python tests/fuzz/campaign.py chunk proof --hours 2    these two, an hour each
    python tests/fuzz/campaign.py --list                   which there are, and what each asserts
    python tests/fuzz/campaign.py chunk --keep 4000        then keep its smallest inputs, so many bytes, in corpus/chunk.txt

It goes on from what an earlier campaign found worth keeping (build/fuzz/corpus). What breaks a decoder is printed, kept in
build/fuzz/found, and tried by nothing again: put it into corpus/NAME.txt, where the tests find it, and mend the decoder.
Exit status: 0 nothing found, 1 something was, 2 wrong usage, 77 atheris is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import decoders
import instrumented
from decoder import CORPUS, inputs, kept

SKIPPED = 77
_HERE = Path(__file__).parent
_MEMORY_MB = 2048
_ONE_MALLOC_MB = 512
_ONE_INPUT_SECONDS = 20
_FOUND_MOST = 5  # of one decoder: others may be more of the same


@dataclass
class Outcome:
    """found: inputs that broke it, each with what was printed of it."""

    executions: int = 0
    seconds: float = 0.0
    corpus: int = 0
    found: list[tuple[bytes, str]] = field(default_factory=list)


def fuzz(name: str, seconds: float, extensions: str) -> Outcome:
    """For so long, going on after what it finds."""
    outcome, end = Outcome(), time.monotonic() + seconds
    corpus = instrumented.BUILD / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for data in inputs(decoders.named(name)):
        (corpus / sha256(data).hexdigest()[:20]).write_bytes(data)
    began = time.monotonic()
    while (left := round(end - time.monotonic())) > 0:
        done = _run(name, extensions, f"-max_total_time={left}", "-print_final_stats=1", str(corpus))
        outcome.executions += _executions(done.stdout)
        artifact = re.search(rb"Test unit written to (\S+)", done.stdout)
        if done.returncode == 0:
            break
        if artifact is None:
            raise SystemExit(f"{name}: fuzzing it ended with {done.returncode}:\n{done.stdout[-3000:].decode(errors='replace')}")
        file = Path(os.fsdecode(artifact[1]))
        outcome.found.append((file.read_bytes(), _shown(done.stdout)))
        (corpus / sha256(file.read_bytes()).hexdigest()[:20]).unlink(missing_ok=True)
        if len(outcome.found) == _FOUND_MOST:
            break
    outcome.seconds, outcome.corpus = time.monotonic() - began, len(os.listdir(corpus))
    return outcome


def _run(name: str, extensions: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    found = instrumented.BUILD / "found"
    found.mkdir(parents=True, exist_ok=True)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join((str(_HERE), str(_HERE.parent / "support"))), "PYTHONHASHSEED": "0"}
    if extensions:
        atheris = importlib.util.find_spec("atheris")
        assert atheris is not None and atheris.origin is not None
        environ["LD_PRELOAD"] = str(Path(atheris.origin).parents[1] / "asan_with_fuzzer.so")
        # What the interpreter keeps to its end is no leak; how the extension answers malloc's NULL is its own business.
        environ["ASAN_OPTIONS"] = "detect_leaks=0:allocator_may_return_null=1:detect_container_overflow=0"
    limits = [f"-rss_limit_mb={_MEMORY_MB}", f"-malloc_limit_mb={_ONE_MALLOC_MB}", f"-timeout={_ONE_INPUT_SECONDS}"]
    command = [sys.executable, str(_HERE / "one.py"), name, extensions, *limits, f"-artifact_prefix={found}/{name}-", *arguments]
    return subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _executions(said: bytes) -> int:
    counted = re.findall(rb"stat::number_of_executed_units:\s*(\d+)|^#(\d+)\t", said, re.MULTILINE)
    return max((int(total or seen) for total, seen in counted), default=0)


_REPORT = re.compile(r"^[^\n]*(=== Uncaught Python exception|AddressSanitizer: |: Assertion `|libFuzzer: (?!fuzz target exited))", re.MULTILINE)


def _shown(said: bytes) -> str:
    """A traceback, a failed assertion or a sanitizer's report: its first lines."""
    text = said.decode(errors="replace")
    begin = _REPORT.search(text)
    text, _, _ = text[begin.start() if begin else -2000 :].partition("==ERROR: libFuzzer: fuzz target exited")
    return "\n".join(f"    {line}" for line in text.splitlines()[:30] if len(line) < 300)


def keep(name: str, most: int) -> int:
    """Write the smallest inputs that added to what is covered, after those that were kept already. Returns how many there are."""
    file, made = CORPUS / f"{name}.txt", set(decoders.named(name).seeds())
    lines = file.read_text("ascii").splitlines() if kept(name) else []
    for path in sorted((instrumented.BUILD / "corpus" / name).iterdir(), key=lambda path: path.stat().st_size):
        line = repr(path.read_bytes())
        if path.read_bytes() in made or line in lines:
            continue
        if sum(map(len, lines)) + len(line) > most:
            break
        lines.append(line)
    file.write_text("".join(f"{line}\n" for line in lines), "ascii")
    return sum(not line.startswith("#") for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("decoders", nargs="*", metavar="DECODER", help="default: all")
    parser.add_argument("--seconds", type=float, help="for each decoder; default 10")
    parser.add_argument("--hours", type=float, help="for all together")
    parser.add_argument("--keep", type=int, metavar="BYTES", help="write the smallest inputs to corpus/, a file of at most so many")
    parser.add_argument("--list", action="store_true", help="print what there is, and do nothing")
    options = parser.parse_args()
    names = options.decoders or decoders.NAMES
    for name in names:
        if name not in decoders.NAMES:
            parser.error(f"there is no decoder {name!r}: {', '.join(decoders.NAMES)}")
    if options.list:
        for name in names:
            print(f"{name:<16} {decoders.named(name).holds}")
        return 0
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return SKIPPED
    seconds = options.hours * 3600 / len(names) if options.hours is not None else options.seconds or 10
    clang = instrumented.compiler()
    extensions = str(instrumented.built(clang)) if clang else ""
    print(f"C: {f'coverage and AddressSanitizer, by {clang}' if clang else 'as installed, for there is no clang'}")
    broken = 0
    for name in names:
        outcome = fuzz(name, seconds, extensions)
        broken += len(outcome.found)
        print(
            f"{name:<16} {outcome.executions:>12,} executions in {outcome.seconds:6.0f} s, {outcome.corpus:>5} inputs, "
            f"{len(outcome.found)} found", flush=True,
        )
        for data, said in outcome.found:
            print(f"  {data!r}\n{said}", flush=True)
        if options.keep:
            print(f"{name:<16} {keep(name, options.keep)} inputs in corpus/{name}.txt")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
