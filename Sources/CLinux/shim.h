// Linux headers that the Glibc module lacks.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <fcntl.h>
#include <unistd.h>
