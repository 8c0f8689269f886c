"""One decoder under atheris, in a process of its own that campaign.py starts: one.py NAME EXTENSIONS LIBFUZZER..."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris
import instrumented

name, extensions, *arguments = sys.argv[1:]
if extensions:
    sys.meta_path.insert(0, instrumented.Finder(Path(extensions)))
with atheris.instrument_imports(include=["decoders", "ioi_exec", "ioi_shm", "ioi_storage", "ioi_stress"]):
    import decoders

    decoder = decoders.named(name)
    for _ in decoder.seeds():  # what is imported when it is first used
        pass
atheris.Setup([sys.argv[0], f"-max_len={decoder.most}", *arguments], decoder.check)
atheris.Fuzz()
