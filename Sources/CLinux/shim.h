// Linux headers that the Glibc module lacks.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/syscall.h>

// renameat2 with RENAME_NOREPLACE within one directory: fails with EEXIST where `to` is taken.
static inline int sluice_rename_new(int directory, const char *from, const char *to) {
    return (int)syscall(SYS_renameat2, directory, from, directory, to, 1u);
}
#include <sys/prctl.h>

// Names the calling thread, as tools show it; at most 15 bytes.
static inline void sluice_name_thread(const char *name) { prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0); }
