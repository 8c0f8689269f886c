#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

/* ---- faults ---- */

enum { WRITE = 1, SYNC = 2, NAME = 4, OPEN = 8 };
enum { GO = 0, SHORT = -1, LIE = -2, KILL = -3, HALF_KILL = -4, LATE = 1 << 16 }; /* else an errno, perhaps | LATE */

static struct {
    int calls, action;
    long n;
    bool on;
} fault;
static atomic_long counted;

static const struct {
    const char *name;
    int value;
} CALLS[] = {{"write", WRITE}, {"sync", SYNC}, {"name", NAME}, {"open", OPEN}, {"all", WRITE | SYNC | NAME}},
  ACTIONS[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"late-EIO", LATE | EIO}, {"short", SHORT},
               {"lie", LIE}, {"kill", KILL},     {"half-kill", HALF_KILL}};

int shim_arm(const char *text) {
    char calls[16], onwards[2], action[16];
    long n;
    fault.calls = 0;
    counted = 0;
    if (!text) return 0;
    bool on = sscanf(text, "%15[a-z]:%ld%1[+]:%15s", calls, &n, onwards, action) == 4;
    if (!on && sscanf(text, "%15[a-z]:%ld:%15s", calls, &n, action) != 3) return -1;
    int which = 0, what = 0;
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        if (!strcmp(calls, CALLS[i].name)) which = CALLS[i].value;
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++)
        if (!strcmp(action, ACTIONS[i].name)) what = ACTIONS[i].value;
    if (!which || !what) return -1;
    fault.n = n;
    fault.on = on;
    fault.action = what;
    fault.calls = which;
    return 0;
}

long shim_calls(void) { return counted; }

/* What is to become of this call. A call to be killed does not come back. */
static int fate(int calls) {
    if (!(fault.calls & calls)) return GO;
    long n = atomic_fetch_add(&counted, 1) + 1;
    if (n != fault.n && !(fault.on && fault.n > 0 && n > fault.n)) return GO;
    if (fault.action == KILL || (fault.action == HALF_KILL && !(calls & WRITE))) kill(getpid(), SIGKILL);
    return fault.action;
}

static bool fails(int fate) {
    if (fate > 0 && !(fate & LATE)) {
        errno = fate;
        return true;
    }
    return false;
}

/* After the call was done and logged: its result. */
static ssize_t ended(int fate, ssize_t result) {
    if (fate == HALF_KILL) kill(getpid(), SIGKILL);
    if (fate > 0 && (fate & LATE) && result >= 0) {
        errno = fate & ~LATE;
        return -1;
    }
    return result;
}

/* ---- what is below the root ---- */

static char root[PATH_MAX];
static int log_fd = -1;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SHIM_ROOT"), *log = getenv("SHIM_LOG"), *armed = getenv("SHIM_FAULT");
    if (path && strlen(path) < sizeof root) strcpy(root, path);
    if (log && (log_fd = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0) abort();
    if (shim_arm(armed)) abort();
}

static bool below_root(const char *path) {
    size_t size = strlen(root);
    if (!size || strncmp(path, root, size) || (path[size] != '/' && path[size])) return false;
    const char *name = strrchr(path, '/') + 1;
    return strcmp(name, "LOCK") && strcmp(name, "lock.mdb");
}

/* The path of an open file, if it counts. */
static bool tracked(int fd, char path[PATH_MAX]) {
    char link[40];
    int error = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = *root ? readlink(link, path, PATH_MAX - 1) : -1;
    errno = error;
    if (size < 0) return false;
    path[size] = 0;
    return below_root(path);
}

static bool named(int at, const char *name, char path[PATH_MAX]) {
    char base[PATH_MAX] = "", link[40];
    int end = 0, fd;
    if (!*root) return false;
    /* A directory that is held by a descriptor is named by it. */
    if (sscanf(name, "/proc/self/fd/%d/%n", &fd, &end) == 1 && end > 0) at = fd, name += end;
    if (*name != '/') {
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t size = readlink(link, base, sizeof base - 2);
        if (size < 0) return false;
        base[size] = '/';
        base[size + 1] = 0;
    }
    return (size_t)snprintf(path, PATH_MAX, "%s%s", base, name) < PATH_MAX && below_root(path);
}

/* ---- the log ---- */

struct record {
    uint8_t kind, flag;
    uint16_t name_size, name2_size, zero;
    uint64_t file, directory, directory2, offset, size;
} __attribute__((packed));

static void append(struct record record, const char *name, const char *name2, const struct iovec *data, int count) {
    struct iovec parts[3 + count];
    int error = errno;
    if (log_fd < 0) return;
    record.name_size = (uint16_t)strlen(name);
    record.name2_size = (uint16_t)strlen(name2);
    parts[0] = (struct iovec){&record, sizeof record};
    parts[1] = (struct iovec){(void *)name, record.name_size};
    parts[2] = (struct iovec){(void *)name2, record.name2_size};
    size_t rest = record.size, all = sizeof record + record.name_size + record.name2_size + record.size;
    for (int i = 0; i < count; i++) {
        parts[3 + i] = data[i];
        if (data[i].iov_len > rest) parts[3 + i].iov_len = rest;
        rest -= parts[3 + i].iov_len;
    }
    if (REAL(writev)(log_fd, parts, 3 + count) != (ssize_t)all) abort();
    errno = error;
}

static uint64_t inode(const char *path) {
    struct stat found;
    return stat(path, &found) ? 0 : found.st_ino;
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

static uint64_t parent(const char *path, const char **name) {
    char directory[PATH_MAX];
    strcpy(directory, path);
    char *slash = strrchr(directory, '/');
    *slash = 0;
    *name = path + (slash - directory) + 1;
    return inode(directory);
}

static void note_made(uint8_t kind, const char *path) {
    const char *name;
    uint64_t directory = parent(path, &name);
    append((struct record){.kind = kind, .file = inode(path), .directory = directory}, name, "", NULL, 0);
}

static void note_unknown(const char *what) { append((struct record){.kind = '!'}, what, "", NULL, 0); }

/* ---- writing ---- */

typedef ssize_t (*writer)(int fd, const struct iovec *parts, int count, off_t offset);

static ssize_t write_at(int fd, const struct iovec *parts, int count, off_t offset) {
    return REAL(pwritev)(fd, parts, count, offset);
}

static ssize_t write_on(int fd, const struct iovec *parts, int count, off_t offset) {
    (void)offset;
    return REAL(writev)(fd, parts, count);
}

static ssize_t written(int fd, const struct iovec *parts, int count, off_t offset, writer write) {
    char path[PATH_MAX];
    if (!tracked(fd, path)) return write(fd, parts, count, offset);
    int fate_ = fate(WRITE);
    if (fails(fate_)) return -1;
    int flags = fcntl(fd, F_GETFL);
    if (write == write_on) offset = lseek(fd, 0, flags & O_APPEND ? SEEK_END : SEEK_CUR);
    struct iovec fewer[count];
    memcpy(fewer, parts, sizeof fewer);
    if (fate_ == SHORT || fate_ == HALF_KILL) {
        size_t rest = 0;
        for (int i = 0; i < count; i++) rest += fewer[i].iov_len;
        rest /= 2;
        for (int i = 0; i < count; i++) {
            if (fewer[i].iov_len > rest) fewer[i].iov_len = rest;
            rest -= fewer[i].iov_len;
        }
    }
    ssize_t done = write(fd, fewer, count, offset);
    if (done >= 0) {
        struct record record = {.kind = 'W', .flag = !!(flags & O_DSYNC), .file = inode_of(fd)};
        record.offset = (uint64_t)offset;
        record.size = (uint64_t)done;
        append(record, "", "", fewer, count);
    }
    return ended(fate_, done);
}

ssize_t write(int fd, const void *data, size_t size) { return written(fd, &(struct iovec){(void *)data, size}, 1, 0, write_on); }

ssize_t writev(int fd, const struct iovec *parts, int count) { return written(fd, parts, count, 0, write_on); }

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return written(fd, &(struct iovec){(void *)data, size}, 1, offset, write_at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return written(fd, parts, count, offset, write_at);
}

static int cut(int fd, off_t size, int (*cut_)(int, off_t)) {
    char path[PATH_MAX];
    if (!tracked(fd, path)) return cut_(fd, size);
    int fate_ = fate(WRITE);
    if (fails(fate_)) return -1;
    int result = cut_(fd, size);
    if (result == 0) append((struct record){.kind = 'T', .file = inode_of(fd), .offset = (uint64_t)size}, "", "", NULL, 0);
    return (int)ended(fate_, result);
}

int ftruncate(int fd, off_t size) { return cut(fd, size, REAL(ftruncate)); }

/* It returns what went wrong; what is there already is not cut off. */
int posix_fallocate(int fd, off_t offset, off_t size) {
    char path[PATH_MAX];
    struct stat found;
    if (!tracked(fd, path) || fstat(fd, &found)) return REAL(posix_fallocate)(fd, offset, size);
    int fate_ = fate(WRITE);
    if (fails(fate_)) return errno;
    int result = REAL(posix_fallocate)(fd, offset, size);
    if (result == 0 && offset + size > found.st_size) {
        append((struct record){.kind = 'T', .file = inode_of(fd), .offset = (uint64_t)(offset + size)}, "", "", NULL, 0);
    }
    return ended(fate_, result) < 0 ? errno : result;
}

/* ---- syncing ---- */

static int synced(int fd, int (*sync_)(int)) {
    char path[PATH_MAX];
    if (!tracked(fd, path)) return sync_(fd);
    int fate_ = fate(SYNC);
    if (fate_ == LIE) return 0;
    int result = fate_ > 0 && !(fate_ & LATE) ? -1 : sync_(fd);
    append((struct record){.kind = 'S', .flag = result != 0 || fate_ > 0, .file = inode_of(fd)}, "", "", NULL, 0);
    return fails(fate_) ? -1 : (int)ended(fate_, result);
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }

int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

/* ---- names ---- */

static int opened(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (!named(at, name, path)) return REAL(openat)(at, name, flags, mode);
    bool make = (flags & O_CREAT) && access(path, F_OK);
    int fate_ = fate(make ? OPEN | NAME : OPEN);
    if (fails(fate_)) return -1;
    bool cuts = (flags & O_TRUNC) && !make;
    int fd = REAL(openat)(at, name, flags, mode);
    if (fd >= 0 && make) note_made('C', path);
    if (fd >= 0 && cuts) append((struct record){.kind = 'T', .file = inode_of(fd)}, "", "", NULL, 0);
    return fd;
}

#define MODE_OF(flags)                                                                                                           \
    mode_t mode = 0;                                                                                                             \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                                       \
        va_list rest;                                                                                                            \
        va_start(rest, flags);                                                                                                   \
        mode = (mode_t)va_arg(rest, int);                                                                                        \
        va_end(rest);                                                                                                            \
    }

int open(const char *name, int flags, ...) {
    MODE_OF(flags)
    return opened(AT_FDCWD, name, flags, mode);
}

int openat(int at, const char *name, int flags, ...) {
    MODE_OF(flags)
    return opened(at, name, flags, mode);
}

int mkdirat(int at, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!named(at, name, path)) return REAL(mkdirat)(at, name, mode);
    int fate_ = fate(NAME);
    if (fails(fate_)) return -1;
    int result = REAL(mkdirat)(at, name, mode);
    if (result == 0) note_made('D', path);
    return (int)ended(fate_, result);
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int unlinkat(int at, const char *name, int flags) {
    char path[PATH_MAX];
    const char *last;
    if (!named(at, name, path)) return REAL(unlinkat)(at, name, flags);
    int fate_ = fate(NAME);
    if (fails(fate_)) return -1;
    uint64_t directory = parent(path, &last);
    int result = REAL(unlinkat)(at, name, flags);
    if (result == 0) append((struct record){.kind = 'U', .directory = directory}, last, "", NULL, 0);
    return (int)ended(fate_, result);
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int renameat(int at, const char *name, int at2, const char *name2) {
    char path[PATH_MAX], path2[PATH_MAX];
    const char *last, *last2;
    if (!named(at, name, path) || !named(at2, name2, path2)) return REAL(renameat)(at, name, at2, name2);
    int fate_ = fate(NAME);
    if (fails(fate_)) return -1;
    struct record record = {.kind = 'R', .directory = parent(path, &last), .directory2 = parent(path2, &last2)};
    int result = REAL(renameat)(at, name, at2, name2);
    if (result == 0) append(record, last, last2, NULL, 0);
    return (int)ended(fate_, result);
}

int rename(const char *name, const char *name2) { return renameat(AT_FDCWD, name, AT_FDCWD, name2); }

/* ---- what the log cannot tell ---- */

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    char path[PATH_MAX];
    if (fd >= 0 && (protection & PROT_WRITE) && (flags & MAP_SHARED) && tracked(fd, path)) note_unknown("a writable mapping");
    return REAL(mmap)(address, size, protection, flags, fd, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
    char path[PATH_MAX];
    if (tracked(fd, path)) note_unknown("fallocate");
    return REAL(fallocate)(fd, mode, offset, size);
}

ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags) {
    char path[PATH_MAX];
    if (tracked(out, path)) note_unknown("copy_file_range");
    return REAL(copy_file_range)(in, from, out, to, size, flags);
}

/* The names that a program gets which was compiled for 64-bit offsets. */
int open64(const char *name, int flags, ...) __attribute__((alias("open")));
int openat64(int at, const char *name, int flags, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
ssize_t pwritev64(int, const struct iovec *, int, off_t) __attribute__((alias("pwritev")));
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));
void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));
int posix_fallocate64(int, off_t, off_t) __attribute__((alias("posix_fallocate")));
int fallocate64(int, int, off_t, off_t) __attribute__((alias("fallocate")));
