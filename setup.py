"""The C extensions, which setup.cfg has no words for; everything else is in setup.cfg."""

from glob import glob

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


def core(name: str, folder: str) -> Extension:
    """One extension: every C file of `folder`; those that know Python are in its folder python."""
    return Extension(
        name,
        sources=sorted(glob(f"{folder}/*.c") + glob(f"{folder}/python/*.c")),
        depends=sorted(glob(f"{folder}/*.h") + glob(f"{folder}/python/*.h") + ["shm/ioi_shm/include/ioi_vm.h"]),
        include_dirs=[folder],
        define_macros=[("_GNU_SOURCE", "1")],
        undef_macros=["NDEBUG"],  # assertions guard consensus: they stay on
        extra_compile_args=FLAGS,
    )


setup(
    ext_modules=[
        core("ioi_shm._core", "shm/core"),
        core("ioi_storage._core", "storage/core"),
    ]
)
