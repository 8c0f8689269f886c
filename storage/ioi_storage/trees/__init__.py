"""The trees, which know no store: rows in, root and rows out. `seam` says what a tree must be able to do.

Whoever needs anything of this room has all trees: those there are register themselves here.
"""

from . import iavl, jellyfish  # noqa: F401
