/* net2c.h: the compiler as a library. C99 and C++.
 *
 *     net2c_job *job = NULL;
 *     net2c_result *result = NULL;
 *     net2c_job_new(&job);
 *     net2c_job_model_file(job, "lenet5.yaml");
 *     net2c_job_weights_file(job, "lenet5.safetensors");
 *     net2c_job_option(job, "isa", "avx2,portable");
 *     if (net2c_load(job, &result) == NET2C_OK)
 *         net2c_run(result, inputs, outputs, 1);
 *     else
 *         fputs(net2c_messages_text(result), stderr);
 *     net2c_result_delete(result);
 *     net2c_job_delete(job);
 *
 * A job says what to compile; it is never changed by compiling, so it serves any number of times.
 * What comes of it is a result: the messages, and the generated files in memory (net2c_compile) or
 * the code in this process, ready to run (net2c_load).
 *
 * For all functions:
 *
 * Errors. Functions return a net2c_status and never print, exit, abort or jump. What is wrong with
 * the model, the weights or the options is in the result's messages, all of it. If memory runs out,
 * or a call is wrong in itself, there is no result: *result is NULL. NET2C_BAD_ARGUMENT is for NULL
 * where something is due, and for what the single functions state; nothing was done then.
 *
 * Ownership. Names and options are copied into the job. A model and weights given in memory are
 * not: they stay the caller's, and unchanged until the job is deleted or gets others. What a
 * function returns a pointer to belongs to the result and lives until net2c_result_delete. A result
 * does not need its job.
 *
 * Threads. There is no global state. Different jobs and results may be used at the same time in any
 * threads; one job by several net2c_check, net2c_compile and net2c_load at the same time, while
 * nobody changes it; one result by one thread at a time, except that functions which take a const
 * net2c_result may be called by several at the same time. No thread is started but by the option
 * "threads".
 *
 * The process. No signal handler is installed and no environment variable set. TMPDIR, CC and
 * NET2C_RUNTIME (the folder of net2c_rt.h) are read by net2c_load, which makes a private folder
 * below TMPDIR and removes it, starts the C compiler and waits for it: SIGCHLD must not be ignored.
 * The option "pass-cmd" starts a program likewise. Files of weights are mapped while they are read:
 * if another program cuts one off meanwhile, the system sends SIGBUS; give bytes where that may be.
 */
#ifndef NET2C_H
#define NET2C_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NET2C_API __attribute__((visibility("default")))
#else
#define NET2C_API
#endif

/* Raised when a program that was built for the number before would no longer work; the size of a
 * structure is a part of that. New functions, options, statuses and codes do not raise it. */
#define NET2C_ABI 1

NET2C_API unsigned net2c_abi(void);            /* of the library that runs: equal to NET2C_ABI? */
NET2C_API const char *net2c_version(void);     /* "0.1.0" */

typedef enum net2c_status {                    /* those of the command line, and two more */
    NET2C_OK = 0,
    NET2C_BAD_INPUT = 1,                       /* errors in the model or the weights */
    NET2C_BAD_OPTION = 2,                      /* errors in the options */
    NET2C_ENVIRONMENT = 5,                     /* no C compiler, cannot write, no such CPU */
    NET2C_NO_MEMORY = 6,
    NET2C_BAD_ARGUMENT = 7,                    /* the call itself is wrong */
    NET2C_INTERNAL = 70                        /* an error in net2c */
} net2c_status;

NET2C_API const char *net2c_status_text(net2c_status status);  /* constant; never NULL */

/* ---- jobs ---------------------------------------------------------------------------------- */
typedef struct net2c_job net2c_job;

NET2C_API net2c_status net2c_job_new(net2c_job **job);
NET2C_API void net2c_job_delete(net2c_job *job);               /* NULL: nothing */

/* The model, as a file or as text in memory, for which `name` stands in messages. The last one
 * counts. It is read by net2c_check, net2c_compile or net2c_load. */
NET2C_API net2c_status net2c_job_model_file(net2c_job *job, const char *path);
NET2C_API net2c_status net2c_job_model(net2c_job *job, const char *name, const void *text,
                                       size_t bytes);

/* The weights, in safetensors format, likewise. The memory needs no alignment. Both refuse more
 * bytes than an object can have, PTRDIFF_MAX. */
NET2C_API net2c_status net2c_job_weights_file(net2c_job *job, const char *path);
NET2C_API net2c_status net2c_job_weights(net2c_job *job, const char *name, const void *data,
                                         size_t bytes);

/* An option of the command line, without dashes: "isa", "avx2,portable". Those that only switch
 * something on, as "remarks", have the value NULL. What they mean: net2c help compile, net2c help
 * run.
 *
 *     define disable-pass isa batch precision math remarks schedule pass-cmd pass-cmd-after
 *     use-isa cc cflags threads      net2c_load alone reads these
 *
 * Names and values are looked at when the job is compiled: mistakes are messages of the result. */
NET2C_API net2c_status net2c_job_option(net2c_job *job, const char *name, const char *value);

/* ---- from a job to a result ----------------------------------------------------------------- */
typedef struct net2c_result net2c_result;

/* All that is wrong with the model, and with the weights if there are any. */
NET2C_API net2c_status net2c_check(const net2c_job *job, net2c_result **result);

/* The files that `net2c compile -o BASE` writes, the same bytes, in memory. base: "lenet5_gen", a
 * name without a folder; the files quote each other by it. NET2C_BAD_ARGUMENT: it is empty or has a
 * slash in it. */
NET2C_API net2c_status net2c_compile(const net2c_job *job, const char *base,
                                     net2c_result **result);

/* Generated code for this machine, compiled by the system's C compiler and loaded. */
NET2C_API net2c_status net2c_load(const net2c_job *job, net2c_result **result);

/* Computes `items` items with loaded code: inputs[i] is items * elements floats of input i,
 * row-major, outputs[i] room for as many of output i; both in the order of net2c_inputs and
 * net2c_outputs. NET2C_BAD_ARGUMENT: nothing is loaded, an array is NULL or no place for a float,
 * items is 0 or more than memory can hold. */
NET2C_API net2c_status net2c_run(net2c_result *result, const float *const *inputs,
                                 float *const *outputs, size_t items);

NET2C_API void net2c_result_delete(net2c_result *result);      /* NULL: nothing */

/* ---- what is in a result --------------------------------------------------------------------- */
/* Each list: its first element and, in *n, how many there are; NULL and 0 if there are none, as of
 * a result that is NULL. n may be NULL. */

typedef enum net2c_severity {
    NET2C_ERROR, NET2C_WARNING, NET2C_NOTE, NET2C_HELP, NET2C_REMARK
} net2c_severity;

typedef struct net2c_message {
    net2c_severity severity;
    size_t attached;               /* so many notes and helps after this one belong to it */
    const char *code;              /* "E0203", as for net2c explain; or NULL */
    const char *text;              /* UTF-8 of the model may be in it: escape it for a terminal */
    const char *file;              /* as it was given; NULL: no place */
    int line, column, length;      /* from 1, in characters; 0: not known */
} net2c_message;

NET2C_API const net2c_message *net2c_messages(const net2c_result *result, size_t *n);
/* All of them as the command line prints them, lines of the model quoted, safe for a terminal; ""
 * if there are none. Never NULL. */
NET2C_API const char *net2c_messages_text(const net2c_result *result);

typedef struct net2c_file {
    const char *name;              /* "lenet5_gen.c" */
    const void *data;              /* a text ends in 0; .n2w is aligned to 64, as `bind` wants it */
    size_t bytes;                  /* without that 0 */
} net2c_file;

/* .c, .h, .n2w and .json, in this order: of net2c_compile. */
NET2C_API const net2c_file *net2c_files(const net2c_result *result, size_t *n);

typedef struct net2c_tensor {
    const char *name;
    size_t elements;               /* of an item */
    unsigned rank;                 /* batch axis included */
    size_t dim[6];                 /* dim[0] is 1: one item */
} net2c_tensor;

/* Of the network: once the model is free of errors. */
NET2C_API const net2c_tensor *net2c_inputs(const net2c_result *result, size_t *n);
NET2C_API const net2c_tensor *net2c_outputs(const net2c_result *result, size_t *n);

#ifdef __cplusplus
}
#endif

#endif
