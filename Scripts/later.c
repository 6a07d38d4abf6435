// A library to preload in tests: it sets the wall clock PETREL_LATER seconds ahead. Monotonic clocks and durations do not
// change.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

static time_t later(void) {
    static time_t seconds;
    static int known;
    if (!known) {
        const char *text = getenv("PETREL_LATER");
        seconds = text ? atoll(text) : 0;
        known = 1;
    }
    return seconds;
}

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static int isCalendar(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = next("clock_gettime");
    int result = real(clock, time);
    if (result == 0 && isCalendar(clock)) time->tv_sec += later();
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    if (time) *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

// The system waits by its own clock: the shift is subtracted from absolute wall-clock deadlines.

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *rest) {
    static int (*real)(clockid_t, int, const struct timespec *, struct timespec *);
    if (!real) real = next("clock_nanosleep");
    struct timespec moved = *time;
    if (isCalendar(clock) && flags & TIMER_ABSTIME) moved.tv_sec -= later();
    return real(clock, flags, &moved, rest);
}

int timerfd_settime(int timer, int flags, const struct itimerspec *new, struct itimerspec *old) {
    static int (*real)(int, int, const struct itimerspec *, struct itimerspec *);
    if (!real) real = next("timerfd_settime");
    struct itimerspec moved = *new;
    // Monotonic clocks start at boot: a value of decades must be a wall-clock time.
    if (flags & TFD_TIMER_ABSTIME && moved.it_value.tv_sec > 1000000000) moved.it_value.tv_sec -= later();
    return real(timer, flags, &moved, old);
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *time) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    struct timespec moved = *time;
    if (moved.tv_sec > 1000000000) moved.tv_sec -= later();
    return real(condition, mutex, &moved);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *time) {
    static int (*real)(sem_t *, const struct timespec *);
    if (!real) real = next("sem_timedwait");
    struct timespec moved = *time;
    moved.tv_sec -= later();
    return real(semaphore, &moved);
}
