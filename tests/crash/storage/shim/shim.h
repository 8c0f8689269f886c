/* A library to preload (LD_PRELOAD) into processes that write below one directory. It records what they change there, in
 * the order in which it happens whichever process does it, and fails or kills them at a chosen call.
 *
 * Environment:
 *   SHIM_ROOT    the directory, without a symbolic link in it. Files called LOCK and lock.mdb are left alone: their
 *                content means nothing after a crash.
 *   SHIM_LOG     the file to record to; absent: nothing is recorded. Several processes may share one.
 *   SHIM_FAULT   a fault, armed from the start.
 *
 * A fault is CALLS:N:ACTION. CALLS: write (all calls that write, cut off or extend), sync, name (that make, rename, remove), open
 * (any), all (but open). N: the N-th of them, counted by each process from when it was armed; with a + behind it, all from there on;
 * 0: none, they are only counted. ACTION:
 *   EIO ENOSPC   not done, fails
 *   late-EIO     done, then fails
 *   short        a write: half of it is done, which is what it returns
 *   lie          a sync: not done, says it was
 *   kill         SIGKILL before it
 *   half-kill    a write: half of it is done, then SIGKILL
 *
 * The log is a row of records, each appended by one call:
 *   u8 kind | u8 flag | u16 size of name | u16 size of name2 | u16 zero | u64 file | u64 directory | u64 directory2 |
 *   u64 offset | u64 size | name | name2 | data, `size` bytes, of a write
 *   files and directories are inode numbers (which a new file may take over); names are last parts of paths
 *
 *   W  data was written to `file` at `offset`; flag: and synced (O_SYNC, O_DSYNC)
 *   T  `file` was cut or extended to `offset` bytes
 *   S  `file`, or directory, was synced; flag: that failed
 *   C  `file` was made: `name` in `directory`         D  the same, a directory
 *   R  `name` in `directory` became `name2` in `directory2`
 *   U  `name` in `directory` was removed
 *   !  something was done that the log cannot tell: `name` says what
 * Whoever runs the workload may append records of other kinds. */
#ifndef SHIM_H
#define SHIM_H

/* Replaces the fault of this process and counts from 0. NULL: none. -1: not understood. */
int shim_arm(const char *fault);
/* How many calls of its kind there were since. */
long shim_calls(void);

#endif
