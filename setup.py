"""The C extensions, which setup.cfg has no words for; everything else is in setup.cfg."""

from glob import glob
from typing import Sequence

from setuptools import Extension, setup

FLAGS = [
    "-std=c11",
    "-O3",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror=implicit-function-declaration",
    "-Werror=incompatible-pointer-types",
    "-Werror=int-conversion",
    "-fvisibility=hidden",
    "-fno-semantic-interposition",
]


def core(
    name: str,
    folder: str,
    sources: Sequence[str] = (),
    include_dirs: Sequence[str] = (),
    depends: Sequence[str] = (),
    macros: Sequence[tuple[str, str]] = (),
) -> Extension:
    """One extension: every C file of `folder`; those that know Python are in its folder python. sources: others' besides."""
    return Extension(
        name,
        sources=sorted(glob(f"{folder}/*.c") + glob(f"{folder}/python/*.c")) + list(sources),
        depends=sorted(glob(f"{folder}/*.h") + glob(f"{folder}/python/*.h") + ["shm/ioi_shm/include/ioi_vm.h"]) + list(depends),
        include_dirs=[folder, *include_dirs],
        define_macros=[("_GNU_SOURCE", "1"), *macros],
        undef_macros=["NDEBUG"],  # assertions guard consensus: they stay on
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread"],
    )


setup(
    ext_modules=[
        core("ioi_shm._core", "shm/core", sources=sorted(glob("storage/core/sha256*.c")), include_dirs=["storage/core"]),
        core("ioi_storage._core", "storage/core"),
        core(
            "ioi_stress._program",
            "tools/ioi_stress/native",
            sources=sorted(glob("storage/core/sha256*.c")),
            include_dirs=["storage/core", "shm/ioi_shm/include"],
        ),
        # The engine's core once more, in virtual time.
        core(
            "ioi_stress._simulation",
            "tools/ioi_stress/simulation/core",
            sources=sorted(glob("shm/core/*.c") + glob("storage/core/sha256*.c")) + [f"tools/ioi_stress/native/{name}.c" for name in ("program", "parse")],
            include_dirs=["shm/core", "tools/ioi_stress/simulation/include", "storage/core", "shm/ioi_shm/include"],
            macros=[("IOI_SIM", "1")],
            depends=sorted(glob("shm/core/*.h") + glob("tools/ioi_stress/native/*.h") + glob("tools/ioi_stress/simulation/include/*.h")),
        ),
    ]
)
