"""The trees, which know no store: rows in, root and rows out. `seam` says what a tree must be able to do."""
