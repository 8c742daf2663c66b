/* Two compilers in two threads: jobs of their own, then one job for both. What each makes is what
 * the main thread makes. Built with ThreadSanitizer by test_library_threads.sh.
 *
 *   library_threads models/lenet5 models/alexnet_small
 */
#include "net2c/net2c.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { TIMES = 2, FILES = 4 };

typedef struct Work {
    const char *path;              /* of model and weights, without what they end in */
    net2c_job *job;                /* shared with others; NULL: one of its own */
    net2c_result *result;          /* of the last time */
    int failures;
} Work;

static net2c_job *make_job(const char *path)
{
    char model[200], weights[200];
    net2c_job *job = NULL;
    snprintf(model, sizeof model, "%s.yaml", path);
    snprintf(weights, sizeof weights, "%s.safetensors", path);
    if (net2c_job_new(&job) != NET2C_OK || net2c_job_model_file(job, model) != NET2C_OK ||
        net2c_job_weights_file(job, weights) != NET2C_OK ||
        net2c_job_option(job, "isa", "portable,scalar") != NET2C_OK)
        puts("a job cannot be made");
    return job;
}

/* A model with an error first: messages are made at the same time too. */
static void *work(void *user)
{
    static const char wrong[] = "net2c: 1\nname: net\ninputs: {x: {shape: [N, 2]}}\n"
                                "network: [rleu]\n";
    Work *w = user;
    net2c_result *r;
    for (int i = 0; i < TIMES; i++) {
        net2c_job *bad = make_job(w->path), *job = w->job ? w->job : make_job(w->path);
        w->failures += net2c_job_model(bad, "wrong", wrong, strlen(wrong)) != NET2C_OK ||
                       net2c_check(bad, &r) != NET2C_BAD_INPUT ||
                       !strstr(net2c_messages_text(r), "did you mean 'relu'?");
        net2c_result_delete(r);
        net2c_job_delete(bad);
        net2c_result_delete(w->result);
        w->failures += net2c_compile(job, "net", &w->result) != NET2C_OK;
        if (!w->job)
            net2c_job_delete(job);
    }
    return NULL;
}

/* Loading starts a C compiler in each thread; it takes long, so once is enough. */
static void *load(void *user)
{
    Work *w = user;
    static const float zeros[3 * 224 * 224];
    const float *in[] = {zeros};
    float scores[1000], *out[] = {scores};
    net2c_result_delete(w->result);
    net2c_job_option(w->job, "cflags", "-O0");
    w->failures += net2c_load(w->job, &w->result) != NET2C_OK ||
                   net2c_inputs(w->result, NULL)->elements > sizeof zeros / sizeof *zeros ||
                   net2c_outputs(w->result, NULL)->elements > sizeof scores / sizeof *scores ||
                   net2c_run(w->result, in, out, 1) != NET2C_OK;
    return NULL;
}

static void both(Work work_of[2], void *(*function)(void *user))
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&thread[i], NULL, function, &work_of[i]) != 0)
            puts("no thread");
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
}

static int differ(const net2c_result *x, const net2c_result *y)
{
    size_t n, m;
    const net2c_file *a = net2c_files(x, &n), *b = net2c_files(y, &m);
    int different = n != FILES || m != FILES;
    for (size_t i = 0; !different && i < n; i++)
        different = a[i].bytes != b[i].bytes || memcmp(a[i].data, b[i].data, a[i].bytes) != 0;
    return different;
}

int main(int argc, char **argv)
{
    int failures = 0;
    Work alone[2] = {{0}}, own[2] = {{0}}, shared[2] = {{0}}, loaded[2] = {{0}};
    if (argc != 3)
        return 2;
    net2c_job *job = make_job(argv[1]);
    for (int i = 0; i < 2; i++) {
        alone[i].path = own[i].path = argv[1 + i];
        shared[i] = (Work){.path = argv[1], .job = job};
        loaded[i].job = make_job(argv[1 + i]);
        work(&alone[i]);
    }
    both(own, work);
    both(shared, work);
    both(loaded, load);
    for (int i = 0; i < 2; i++) {
        failures += alone[i].failures + own[i].failures + shared[i].failures + loaded[i].failures;
        failures += differ(alone[i].result, own[i].result);
        failures += differ(alone[0].result, shared[i].result);
    }
    for (int i = 0; i < 2; i++) {
        net2c_result_delete(alone[i].result);
        net2c_result_delete(own[i].result);
        net2c_result_delete(shared[i].result);
        net2c_result_delete(loaded[i].result);
        net2c_job_delete(loaded[i].job);
    }
    net2c_job_delete(job);
    printf("threads: %d failures\n", failures);
    return failures != 0;
}
