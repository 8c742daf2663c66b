/* options: the command line, driven by options.def.
 *
 *     net2c run net.yaml -w net.safetensors --input=x.npy --top 5
 *     verb RUN, argument net.yaml, WEIGHTS net.safetensors, INPUT x.npy, TOP 5
 *
 * contract: every mistake is reported with the nearest name that exists; several in one run. An
 * option's value follows '=', or is the next word, or joined to a letter. "--" ends the options,
 * "-" is a file. Values are checked by kind here; names in them by the verbs.
 */
#include "driver/driver.h"

#include <string.h>

typedef struct VerbDef {
    const char *name, *arguments;
    int minimum, maximum;
} VerbDef;

typedef enum { FLAG, TEXT, LIST, MANY, COUNT, NUMBER, CHOICE } Kind;

typedef struct OptionDef {
    const char *name;
    char letter;
    Kind kind;
    const char *value;
    unsigned verbs, needed;
} OptionDef;

static const VerbDef verb_table[] = {
#define VERB(id, name, function, arguments, minimum, maximum, summary) \
    {name, arguments, minimum, maximum},
#include "driver/options.def"
};

#define IN(id) (1u << VERB_##id)
static const OptionDef option_table[] = {
#define OPTION(id, name, letter, kind, value, verbs, needed, help) \
    {name, letter, kind, value, verbs, needed},
#include "driver/options.def"
};

typedef struct Parse {             /* the words that are left */
    Cx *cx;
    Options *out;
    char **word;
    int at, n;
} Parse;

static bool option_allowed(int i, VerbId verb)
{
    return option_table[i].verbs >> verb & 1;
}

static void usage_error(Cx *cx, const char *code, const char *text, VerbId verb)
{
    diag_error(cx->diags, NO_PLACE, code, "%s", text);
    diag_help(cx->diags, "net2c help %s shows its options", verb_table[verb].name);
}

void usage_unknown(Cx *cx, const char *what, const char *word, const char *const *names, int n)
{
    const char *near = str_nearest(cx->perm, word, names, n);
    diag_error(cx->diags, NO_PLACE, "E0001", "unknown %s '%s'", what, word);
    if (near) {
        diag_help(cx->diags, "did you mean '%s'?", near);
        return;
    }
    Str all = str_new(cx->perm);
    for (int i = 0; i < n; i++)
        str_printf(&all, "%s%s", i ? ", " : "", names[i]);
    diag_help(cx->diags, "there are: %s", all.data);
}

/* ---- parsing -------------------------------------------------------------------------------- */

VerbId verb_find(const char *first, const char *second, int *words)
{
    for (int i = 0; i < VERB_COUNT; i++) {
        const char *name = verb_table[i].name;
        size_t n = strcspn(name, " ");
        *words = name[n] ? 2 : 1;
        if (strlen(first) == n && strncmp(first, name, n) == 0 &&
            (!name[n] || str_eq(second, name + n + 1)))
            return (VerbId)i;
    }
    return VERB_COUNT;
}

static bool parse_verb(Parse *p)
{
    const char *first = p->n > 1 ? p->word[1] : "help";
    const char *second = p->n > 2 ? p->word[2] : NULL;
    int words;
    if (str_eq(first, "--help") || str_eq(first, "-h") || str_eq(first, "--version"))
        first = first[2] == 'v' ? "version" : "help";
    p->out->verb = verb_find(first, second, &words);
    p->at = 1 + words;
    if (p->out->verb != VERB_COUNT)
        return true;
    const char *names[VERB_COUNT];
    const char *word = first;
    for (int i = 0; i < VERB_COUNT; i++) {
        const char *name = names[i] = verb_table[i].name;
        if (second && strncmp(name, first, strlen(first)) == 0 && strchr(name, ' '))
            word = arena_printf(p->cx->perm, "%s %s", first, second);
    }
    usage_unknown(p->cx, "verb", word, names, VERB_COUNT);
    return false;
}

static void add_value(Parse *p, int id, const char *value)
{
    Options *o = p->out;
    const char **grown = NEW_ARRAY(p->cx->perm, const char *, o->n[id] + 1);
    if (o->n[id] > 0)
        memcpy(grown, o->value[id], sizeof *grown * (size_t)o->n[id]);
    grown[o->n[id]++] = value;
    o->value[id] = grown;
}

static void add_list(Parse *p, int id, const char *value)
{
    for (size_t n; *value; value += n + (value[n] == ',')) {
        n = strcspn(value, ",");
        if (n > 0)
            add_value(p, id, arena_strndup(p->cx->perm, value, n));
    }
}

static void store_value(Parse *p, int id, const char *value)
{
    const OptionDef *d = &option_table[id];
    int64_t count;
    double number;
    const char *expected = NULL;
    if (d->kind == COUNT && (!parse_i64(value, &count) || count < 0))
        expected = "a whole number";
    if (d->kind == NUMBER && (!parse_double(value, &number) || !(number >= 0)))
        expected = "a number, 0 or more";
    if (expected)
        usage_error(p->cx, "E0003", arena_printf(p->cx->perm, "--%s needs %s, found '%s'",
                                                 d->name, expected, value), p->out->verb);
    else if (d->kind == LIST)
        add_list(p, id, value);
    else
        add_value(p, id, value);
}

/* value NULL: there is none. */
static void set_option(Parse *p, int id, const char *value)
{
    const OptionDef *d = &option_table[id];
    if (d->kind == CHOICE && !value)
        value = arena_strndup(p->cx->perm, d->value, strcspn(d->value, "|"));
    if (d->kind == FLAG && value)
        usage_error(p->cx, "E0002", arena_printf(p->cx->perm, "--%s takes no value", d->name),
                    p->out->verb);
    else if (d->kind != FLAG && !value)
        usage_error(p->cx, "E0002", arena_printf(p->cx->perm, "--%s needs a value: %s", d->name,
                                                 d->value), p->out->verb);
    else
        store_value(p, id, value ? value : "");
}

void option_set(Cx *cx, Options *o, const OptId *allowed, int n, const char *name,
                const char *value)
{
    const char **names = NEW_ARRAY(cx->perm, const char *, n);
    for (int i = 0; i < n; i++) {
        names[i] = option_table[allowed[i]].name;
        if (str_eq(name, names[i])) {
            set_option(&(Parse){.cx = cx, .out = o}, (int)allowed[i], value);
            return;
        }
    }
    usage_unknown(cx, "option", name, names, n);
}

static void unknown_option(Parse *p, const char *word)
{
    const char *names[OPT_COUNT], *bare = word + strspn(word, "-");
    const char *name = arena_strndup(p->cx->perm, bare, strcspn(bare, "="));
    int n = 0;
    for (int i = 0; i < OPT_COUNT; i++) {
        if (option_allowed(i, p->out->verb))
            names[n++] = arena_printf(p->cx->perm, "--%s", option_table[i].name);
    }
    usage_unknown(p->cx, arena_printf(p->cx->perm, "option of %s",
                                      verb_table[p->out->verb].name),
                  arena_printf(p->cx->perm, "%s%s", bare - word == 1 ? "-" : "--", name), names, n);
}

/* What --name=value or -lvalue is; *value NULL: none joined to it. -MD and -MF, known from C
 * compilers, need one dash only. */
static int find_option(const Parse *p, const char *word, const char **value)
{
    bool lone = word[1] != '-' && word[1] != 'M';
    const char *name = word + (word[1] == '-' ? 2 : 1);
    size_t n = lone ? 1 : strcspn(name, "=");
    *value = lone ? (name[1] ? name + 1 : NULL) : name[n] ? name + n + 1 : NULL;
    for (int i = 0; i < OPT_COUNT; i++) {
        const OptionDef *d = &option_table[i];
        bool same = lone ? d->letter == *name : strlen(d->name) == n && !strncmp(d->name, name, n);
        if (same && option_allowed(i, p->out->verb))
            return i;
    }
    return -1;
}

static void parse_option(Parse *p, const char *word)
{
    const char *value;
    int id = find_option(p, word, &value);
    if (id < 0) {
        unknown_option(p, word);
        return;
    }
    Kind kind = option_table[id].kind;
    if (kind != FLAG && kind != CHOICE && !value && p->at < p->n)
        value = p->word[p->at++];
    set_option(p, id, value);
}

static void check_complete(Parse *p)
{
    const VerbDef *v = &verb_table[p->out->verb];
    if (p->out->n[OPT_HELP])
        return;
    for (int i = 0; i < OPT_COUNT; i++) {
        if (option_table[i].needed >> p->out->verb & 1 && !p->out->n[i])
            usage_error(p->cx, "E0004", arena_printf(p->cx->perm, "%s needs --%s=%s", v->name,
                                                     option_table[i].name, option_table[i].value),
                        p->out->verb);
    }
    if (p->out->n_arguments < v->minimum)
        usage_error(p->cx, "E0005", arena_printf(p->cx->perm, "%s needs a %s", v->name,
                                                 v->arguments), p->out->verb);
}

static void parse_argument(Parse *p, const char *word)
{
    const VerbDef *v = &verb_table[p->out->verb];
    if (p->out->n_arguments < v->maximum)
        p->out->argument[p->out->n_arguments++] = word;
    else
        usage_error(p->cx, "E0005", arena_printf(p->cx->perm, "'%s' is one too many for %s", word,
                                                 v->name), p->out->verb);
}

bool options_parse(Cx *cx, int argc, char **argv, Options *out)
{
    Parse p = {.cx = cx, .out = out, .word = argv, .n = argc};
    bool options = true;
    *out = (Options){.verb = VERB_COUNT};
    if (!parse_verb(&p))
        return false;
    while (p.at < p.n) {
        const char *word = p.word[p.at++];
        if (options && str_eq(word, "--"))
            options = false;
        else if (options && word[0] == '-' && word[1])
            parse_option(&p, word);
        else
            parse_argument(&p, word);
    }
    check_complete(&p);
    return diags_error_count(cx->diags) == 0;
}

/* ---- values --------------------------------------------------------------------------------- */

const char *option_text(const Options *o, OptId id, const char *fallback)
{
    return o->n[id] ? o->value[id][o->n[id] - 1] : fallback;
}

int64_t option_count(const Options *o, OptId id, int64_t fallback)
{
    int64_t v = fallback;
    const char *text = option_text(o, id, NULL);
    return text && parse_i64(text, &v) ? v : fallback;
}

double option_number(const Options *o, OptId id, double fallback)
{
    double v = fallback;
    const char *text = option_text(o, id, NULL);
    return text && parse_double(text, &v) ? v : fallback;
}

int option_word(Cx *cx, const Options *o, OptId id, const char *const *words, int n)
{
    const char *text = option_text(o, id, words[0]);
    for (int i = 0; i < n; i++)
        if (str_eq(text, words[i]))
            return i;
    usage_unknown(cx, arena_printf(cx->perm, "value of --%s", option_table[id].name), text, words,
                  n);
    return -1;
}
