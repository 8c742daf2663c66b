/* library: net2c.h, the compiler inside another program.
 *
 *     net2c_load(job, &result) -> Options, as `net2c run` has them -> pipeline, session -> result
 *
 * contract: the header's. A job holds words; what they mean is found out in the result's own
 * context, by the same functions as for the command line, so that both give the same messages and
 * the same bytes. Running out of memory jumps no further than to the function that was called.
 */
#include "driver/driver.h"
#include "net2c/net2c.h"

#include <string.h>

_Static_assert((int)STATUS_OK == (int)NET2C_OK && (int)STATUS_INPUT == (int)NET2C_BAD_INPUT &&
               (int)STATUS_USAGE == (int)NET2C_BAD_OPTION &&
               (int)STATUS_ENVIRONMENT == (int)NET2C_ENVIRONMENT &&
               (int)STATUS_INTERNAL == (int)NET2C_INTERNAL, "a status is an exit status");
_Static_assert((int)DIAG_ERROR == (int)NET2C_ERROR && (int)DIAG_WARNING == (int)NET2C_WARNING &&
               (int)DIAG_NOTE == (int)NET2C_NOTE && (int)DIAG_HELP == (int)NET2C_HELP &&
               (int)DIAG_REMARK == (int)NET2C_REMARK, "a severity is the kind of a message");
_Static_assert(sizeof((net2c_tensor){0}.dim) / sizeof(size_t) == MAX_RANK, "room for all axes");

typedef struct Given {             /* a model or weights */
    const char *name;              /* NULL: not given */
    Bytes bytes;                   /* data NULL: the file of that name */
} Given;

typedef struct Setting Setting;
struct Setting {
    Setting *next;
    const char *name, *value;
};

struct net2c_job {
    Cx *cx;                        /* only for its memory */
    Given model, weights;
    Setting *first, *last;
};

struct net2c_result {
    Cx *cx;
    const char *base;              /* of the files */
    Pipeline pipeline;
    Session *session;              /* NULL: nothing is loaded */
    void **io;                     /* of a run */
    net2c_message *message;
    net2c_file *file;
    net2c_tensor *tensor;          /* inputs, then outputs */
    size_t n_messages, n_files, n_inputs, n_outputs;
    const char *text;
};

unsigned net2c_abi(void)
{
    return NET2C_ABI;
}

const char *net2c_version(void)
{
    return NET2C_VERSION;
}

const char *net2c_status_text(net2c_status status)
{
    switch (status) {
    case NET2C_OK: return "done";
    case NET2C_BAD_INPUT: return "errors in the model or the weights";
    case NET2C_BAD_OPTION: return "errors in the options";
    case NET2C_ENVIRONMENT: return "environment: no C compiler, cannot write, no such CPU";
    case NET2C_NO_MEMORY: return "out of memory";
    case NET2C_BAD_ARGUMENT: return "the call is wrong: an argument is NULL or out of range";
    case NET2C_INTERNAL: return "internal error";
    }
    return "unknown status";
}

/* ---- jobs ----------------------------------------------------------------------------------- */

net2c_status net2c_job_new(net2c_job **job)
{
    if (!job)
        return NET2C_BAD_ARGUMENT;
    *job = NULL;
    Cx *cx = cx_new();
    if (!cx || cx_guard(cx)) {
        cx_delete(cx);
        return NET2C_NO_MEMORY;
    }
    net2c_job *made = NEW(cx->perm, net2c_job);
    made->cx = cx;
    *job = made;
    return NET2C_OK;
}

void net2c_job_delete(net2c_job *job)
{
    if (job)
        cx_delete(job->cx);
}

/* A file called "-" is a file: only on the command line it is standard input. */
static net2c_status give(net2c_job *job, bool weights, const char *name, Bytes bytes)
{
    if (!job || !name || !*name || bytes.size > PTRDIFF_MAX)
        return NET2C_BAD_ARGUMENT;
    if (cx_guard(job->cx))
        return NET2C_NO_MEMORY;
    const bool dash = !bytes.data && str_eq(name, "-");
    const Given given = {arena_strdup(job->cx->perm, dash ? "./-" : name), bytes};
    *(weights ? &job->weights : &job->model) = given;
    return NET2C_OK;
}

net2c_status net2c_job_model_file(net2c_job *job, const char *path)
{
    return give(job, false, path, (Bytes){NULL, 0});
}

net2c_status net2c_job_model(net2c_job *job, const char *name, const void *text, size_t bytes)
{
    return text ? give(job, false, name, (Bytes){text, bytes}) : NET2C_BAD_ARGUMENT;
}

net2c_status net2c_job_weights_file(net2c_job *job, const char *path)
{
    return give(job, true, path, (Bytes){NULL, 0});
}

net2c_status net2c_job_weights(net2c_job *job, const char *name, const void *data, size_t bytes)
{
    return data ? give(job, true, name, (Bytes){data, bytes}) : NET2C_BAD_ARGUMENT;
}

net2c_status net2c_job_option(net2c_job *job, const char *name, const char *value)
{
    if (!job || !name)
        return NET2C_BAD_ARGUMENT;
    if (cx_guard(job->cx))
        return NET2C_NO_MEMORY;
    Arena *a = job->cx->perm;
    Setting *s = NEW(a, Setting);
    *s = (Setting){NULL, arena_strdup(a, name), value ? arena_strdup(a, value) : NULL};
    *(job->last ? &job->last->next : &job->first) = s;
    job->last = s;
    return NET2C_OK;
}

/* ---- from a job to a result ----------------------------------------------------------------- */

/* All words are copied: messages that outlive the job point to them. */
static const Options *make_options(Cx *cx, const net2c_job *job, VerbId verb)
{
    static const OptId allowed[] = {OPT_DEFINE, OPT_DISABLE_PASS, OPT_ISA, OPT_BATCH,
                                    OPT_PRECISION, OPT_MATH, OPT_REMARKS, OPT_PASS_CMD,
                                    OPT_PASS_CMD_AFTER, OPT_SCHEDULE, OPT_USE_ISA, OPT_CC,
                                    OPT_CFLAGS, OPT_THREADS};
    Arena *a = cx->perm;
    Options *o = NEW(a, Options);
    *o = (Options){.verb = verb, .model = job->model.bytes, .weights = job->weights.bytes};
    if (job->model.name) {
        o->argument[o->n_arguments++] = arena_strdup(a, job->model.name);
    } else {
        diag_error(cx->diags, NO_PLACE, "E0005", "no model was given");
        diag_help(cx->diags, "call net2c_job_model_file or net2c_job_model");
    }
    if (job->weights.name) {
        o->value[OPT_WEIGHTS] = NEW_ARRAY(a, const char *, 1);
        o->value[OPT_WEIGHTS][o->n[OPT_WEIGHTS]++] = arena_strdup(a, job->weights.name);
    } else if (verb != VERB_CHECK) {
        diag_error(cx->diags, NO_PLACE, "E0004", "no weights were given");
        diag_help(cx->diags, "call net2c_job_weights_file or net2c_job_weights");
    }
    for (const Setting *s = job->first; s; s = s->next)
        option_set(cx, o, allowed, (int)(sizeof allowed / sizeof *allowed),
                   arena_strdup(a, s->name), s->value ? arena_strdup(a, s->value) : NULL);
    return o;
}

static bool check(net2c_result *r, const Options *o)
{
    return pipeline_look(&r->pipeline, r->cx, o) && pipeline_run(&r->pipeline);
}

static bool compile(net2c_result *r, const Options *o)
{
    Weights *w;
    CodeFiles files;
    Bytes blob;
    if (!pipeline_compile(&r->pipeline, r->cx, o, &w))
        return false;
    bool ok = code_make(r->cx, &r->pipeline, w, r->base, &files, &blob);
    weights_close(w);
    if (!ok)
        return false;
    r->file = NEW_ARRAY(r->cx->perm, net2c_file, files.n);
    for (int i = 0; i < files.n; i++) {
        const Str *text = files.text[i];
        const void *data = text ? (const void *)text->data : blob.data;
        r->file[r->n_files++] = (net2c_file){files.path[i], data, (size_t)files.bytes[i]};
    }
    return true;
}

static bool load(net2c_result *r, const Options *o)
{
    Weights *w;
    if (!pipeline_compile(&r->pipeline, r->cx, o, &w))
        return false;
    r->session = session_open(&r->pipeline, w, o);
    weights_close(w);
    return r->session != NULL;
}

static void list_tensors(net2c_result *r)
{
    const Graph *g = r->pipeline.graph;
    int n = g ? g->n_inputs + g->n_outputs : 0;
    r->tensor = NEW_ARRAY(r->cx->perm, net2c_tensor, n);
    r->io = NEW_ARRAY(r->cx->perm, void *, n);
    for (int i = 0; i < n; i++) {
        const Tensor *t = i < g->n_inputs ? g->inputs[i] : g->outputs[i - g->n_inputs];
        net2c_tensor *to = &r->tensor[i];
        *to = (net2c_tensor){.name = t->name, .elements = (size_t)shape_count(&t->shape),
                             .rank = (unsigned)t->shape.rank, .dim = {1}};
        for (int d = 1; d < t->shape.rank; d++)
            to->dim[d] = (size_t)t->shape.dim[d];
    }
    r->n_inputs = g ? (size_t)g->n_inputs : 0;
    r->n_outputs = (size_t)n - r->n_inputs;
}

static void list_messages(net2c_result *r)
{
    const Diags *d = r->cx->diags;
    r->text = diags_render(d, r->cx->perm, 0, false);
    r->n_messages = (size_t)diags_count(d);
    r->message = NEW_ARRAY(r->cx->perm, net2c_message, r->n_messages);
    size_t attached = 0;
    for (size_t i = r->n_messages; i-- > 0;) {
        const Diag *m = diags_get(d, (int)i);
        bool own = i == 0 || (m->kind != DIAG_NOTE && m->kind != DIAG_HELP);
        r->message[i] = (net2c_message){
            .severity = (net2c_severity)m->kind, .attached = own ? attached : 0, .code = m->code,
            .text = m->text, .file = m->place.file, .line = m->place.line,
            .column = m->place.col, .length = m->place.len,
        };
        attached = own ? 0 : attached + 1;
    }
}

typedef bool Action(net2c_result *r, const Options *o);        /* false: reported */

static net2c_status perform(const net2c_job *job, VerbId verb, Action *action, const char *base,
                            net2c_result **result)
{
    if (result)
        *result = NULL;
    if (!job || !result || !*base || strchr(base, '/'))
        return NET2C_BAD_ARGUMENT;
    Cx *cx = cx_new();
    if (!cx || cx_guard(cx)) {
        cx_delete(cx);
        return NET2C_NO_MEMORY;
    }
    net2c_result *r = NEW(cx->perm, net2c_result);
    r->cx = cx;
    r->base = arena_strdup(cx->perm, base);
    const Options *o = make_options(cx, job, verb);
    bool ok = diags_error_count(cx->diags) == 0 && action(r, o);
    list_tensors(r);
    list_messages(r);
    *result = r;
    return ok ? NET2C_OK : (net2c_status)status_of_errors(cx->diags);
}

net2c_status net2c_check(const net2c_job *job, net2c_result **result)
{
    return perform(job, VERB_CHECK, check, "none", result);
}

net2c_status net2c_compile(const net2c_job *job, const char *base, net2c_result **result)
{
    return perform(job, VERB_COMPILE, compile, base ? base : "", result);
}

net2c_status net2c_load(const net2c_job *job, net2c_result **result)
{
    return perform(job, VERB_RUN, load, "none", result);
}

net2c_status net2c_run(net2c_result *r, const float *const *inputs, float *const *outputs,
                       size_t items)
{
    if (!r || !r->session || !inputs || !outputs || items == 0)
        return NET2C_BAD_ARGUMENT;
    for (size_t i = 0; i < r->n_inputs + r->n_outputs; i++) {
        const float *at = i < r->n_inputs ? inputs[i] : outputs[i - r->n_inputs];
        size_t bytes;
        if (!at || (uintptr_t)at % sizeof *at != 0 ||
            !checked_size_mul(items, r->tensor[i].elements * sizeof *at, &bytes) ||
            bytes > PTRDIFF_MAX)
            return NET2C_BAD_ARGUMENT;
        r->io[i] = (void *)(uintptr_t)at;
    }
    if (cx_guard(r->cx))
        return NET2C_NO_MEMORY;
    return session_run(r->session, r->io, items, NULL) ? NET2C_OK : NET2C_INTERNAL;
}

void net2c_result_delete(net2c_result *r)
{
    if (r)
        cx_delete(r->cx);
}

/* ---- what is in a result --------------------------------------------------------------------- */

static const void *list(const void *first, size_t count, size_t *n)
{
    if (n)
        *n = count;
    return count > 0 ? first : NULL;
}

const net2c_message *net2c_messages(const net2c_result *r, size_t *n)
{
    return list(r ? r->message : NULL, r ? r->n_messages : 0, n);
}

const char *net2c_messages_text(const net2c_result *r)
{
    return r ? r->text : "";
}

const net2c_file *net2c_files(const net2c_result *r, size_t *n)
{
    return list(r ? r->file : NULL, r ? r->n_files : 0, n);
}

const net2c_tensor *net2c_inputs(const net2c_result *r, size_t *n)
{
    return list(r ? r->tensor : NULL, r ? r->n_inputs : 0, n);
}

const net2c_tensor *net2c_outputs(const net2c_result *r, size_t *n)
{
    return list(r ? r->tensor + r->n_inputs : NULL, r ? r->n_outputs : 0, n);
}
