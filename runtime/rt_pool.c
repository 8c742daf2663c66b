/* rt_pool.c: an optional pool of threads behind n2c_exec.parallel_for.
 *
 *     n2c_pool *pool = n2c_pool_create(0);
 *     n2c_exec exec = n2c_pool_exec(pool);       every run with &exec now uses it
 *     n2c_pool_destroy(pool);
 *
 * Iterations are split into one contiguous part a thread, the same parts every time: neighbours in
 * memory stay with one thread. One that has finished its part helps with the others', so that a
 * thread that the system gives no time costs little. The caller is one of the threads. Between two
 * loops of a run the others spin for a moment, since the next one is near; then they sleep.
 *
 * A pool belongs to one run at a time: a loop that finds it busy, by another thread or by itself,
 * runs on the caller alone. So does every loop in the child of a fork, which has no such threads.
 */
#define _GNU_SOURCE
#include "net2c_rt.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 20000, MAX_THREADS = 256 };

typedef struct Worker {
    pthread_t thread;
    n2c_pool *pool;
    unsigned part;                 /* the one it begins with */
    atomic_size_t next;            /* iterations of its part that nobody has taken: next .. end */
    size_t end;
    char apart[128];               /* from the next one's, in caches */
} Worker;

struct n2c_pool {
    pthread_mutex_t busy;          /* held by the loop that uses the pool */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_uint turn;              /* number of loops so far: a new one starts the workers */
    atomic_int open;               /* there may be iterations to take */
    atomic_uint inside;            /* workers that look at the loop, which must not change then */
    atomic_size_t left;            /* iterations not finished */
    atomic_int stop;
    unsigned sleeping;             /* under lock */
    unsigned threads, spins;
    pid_t owner;
    void (*task)(void *ctx, size_t i);
    void *ctx;
    Worker worker[];               /* one a thread; the first one is the caller */
};

static unsigned count_cpus(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
#endif
    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (unsigned)n;
}

static void pause_cpu(void)
{
#ifdef N2C_X86_64
    __asm__ volatile("pause");
#endif
}

static void run_parts(n2c_pool *p, unsigned first)
{
    for (unsigned k = 0; k < p->threads; k++) {
        Worker *part = &p->worker[(first + k) % p->threads];
        size_t i, done = 0;
        for (; (i = atomic_fetch_add(&part->next, 1)) < part->end; done++)
            p->task(p->ctx, i);
        atomic_fetch_sub(&p->left, done);
    }
}

/* Returns the number of the next loop after `seen`: spins, then sleeps. */
static unsigned wait_turn(n2c_pool *p, unsigned seen)
{
    for (unsigned i = 0; i < p->spins && atomic_load(&p->turn) == seen; i++)
        pause_cpu();
    if (atomic_load(&p->turn) == seen) {
        pthread_mutex_lock(&p->lock);
        p->sleeping++;
        while (atomic_load(&p->turn) == seen)
            pthread_cond_wait(&p->wake, &p->lock);
        p->sleeping--;
        pthread_mutex_unlock(&p->lock);
    }
    return atomic_load(&p->turn);
}

static void *work(void *user)
{
    Worker *w = user;
    n2c_pool *p = w->pool;
    for (unsigned seen = 0;;) {
        seen = wait_turn(p, seen);
        if (atomic_load(&p->stop))
            return NULL;
        atomic_fetch_add(&p->inside, 1);
        if (atomic_load(&p->open))
            run_parts(p, w->part);
        atomic_fetch_sub(&p->inside, 1);
    }
}

static void start_turn(n2c_pool *p)
{
    atomic_fetch_add(&p->turn, 1);
    pthread_mutex_lock(&p->lock);
    if (p->sleeping > 0)
        pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

/* Until all iterations are finished, and nobody looks at the loop any more. */
static void finish_turn(n2c_pool *p)
{
    for (unsigned i = 0; atomic_load(&p->left) > 0; i++) {
        pause_cpu();
        if (i >= p->spins)
            sched_yield();
    }
    atomic_store(&p->open, 0);
    while (atomic_load(&p->inside) > 0)
        sched_yield();
}

void n2c_pool_parallel_for(void *pool, size_t n, void (*task)(void *ctx, size_t i), void *ctx)
{
    n2c_pool *p = pool;
    if (n < 2 || p->threads < 2 || getpid() != p->owner || pthread_mutex_trylock(&p->busy)) {
        for (size_t i = 0; i < n; i++)
            task(ctx, i);
        return;
    }
    p->task = task;
    p->ctx = ctx;
    for (unsigned k = 0; k < p->threads; k++) {
        size_t whole = n / p->threads, rest = n % p->threads;
        size_t begin = k * whole + (k < rest ? k : rest);
        atomic_store(&p->worker[k].next, begin);
        p->worker[k].end = begin + whole + (k < rest);
    }
    atomic_store(&p->left, n);
    atomic_store(&p->open, 1);
    start_turn(p);
    run_parts(p, 0);
    finish_turn(p);
    pthread_mutex_unlock(&p->busy);
}

n2c_pool *n2c_pool_create(unsigned threads)
{
    unsigned cpus = count_cpus();
    threads = threads == 0 ? cpus : threads > MAX_THREADS ? MAX_THREADS : threads;
    n2c_pool *p = calloc(1, sizeof *p + threads * sizeof p->worker[0]);
    if (!p)
        return NULL;
    pthread_mutex_init(&p->busy, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->owner = getpid();
    p->spins = threads > cpus ? 0 : SPINS;     /* no spinning where another one needs the CPU */
    for (p->threads = 1; p->threads < threads; p->threads++) {
        Worker *w = &p->worker[p->threads];
        w->pool = p;
        w->part = p->threads;
        if (pthread_create(&w->thread, NULL, work, w))     /* as many as there can be */
            break;
    }
    return p;
}

void n2c_pool_destroy(n2c_pool *p)
{
    if (!p)
        return;
    if (getpid() == p->owner) {
        atomic_store(&p->stop, 1);
        start_turn(p);
        for (unsigned i = 1; i < p->threads; i++)
            pthread_join(p->worker[i].thread, NULL);
        pthread_cond_destroy(&p->wake);
        pthread_mutex_destroy(&p->lock);
        pthread_mutex_destroy(&p->busy);
    }
    free(p);
}

n2c_exec n2c_pool_exec(n2c_pool *p)
{
    return (n2c_exec){.parallel_for = p ? n2c_pool_parallel_for : NULL, .pool = p,
                      .threads = p ? p->threads : 1};
}
