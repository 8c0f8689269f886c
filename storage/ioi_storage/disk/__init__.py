"""The tables on LMDB, their rows and marks, the directory they live in, and the commit."""
