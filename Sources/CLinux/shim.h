// Linux headers that the Glibc module lacks, and system calls that it hides. No _GNU_SOURCE: it would define types
// otherwise than that module does.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/// accept4: the socket does not block and is closed on exec. `address` is a struct sockaddr.
static inline int sluice_accept(int descriptor, void *address, unsigned int *length) {
    return (int)syscall(SYS_accept4, descriptor, address, length, O_NONBLOCK | O_CLOEXEC);
}

/// Names the calling thread, as tools show it; at most 15 bytes.
static inline void sluice_name_thread(const char *name) { prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0); }

/// renameat2 with RENAME_NOREPLACE within one directory: fails with EEXIST where `to` is taken.
static inline int sluice_rename_new(int directory, const char *from, const char *to) {
    return (int)syscall(SYS_renameat2, directory, from, directory, to, 1u);
}
