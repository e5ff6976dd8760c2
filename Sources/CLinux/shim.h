// Linux headers that the Glibc module lacks, and calls that need _GNU_SOURCE.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

int pthread_setname_np(pthread_t thread, const char *name);

/// accept4: the socket does not block and is closed on exec. `address` is a struct sockaddr.
static inline int sluice_accept(int descriptor, void *address, unsigned int *length) {
    return (int)syscall(SYS_accept4, descriptor, address, length, O_NONBLOCK | O_CLOEXEC);
}

/// At most 15 bytes are shown.
static inline void sluice_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
