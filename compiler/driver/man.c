/* man: what explains the command line, made of options.def: help, the manual page net2c(1) and
 * completion.
 *
 *     net2c help run          net2c man | man -l -          source <(net2c completion bash)
 *
 * contract: whatever can be typed comes from the table; only what a page says about models, files
 * and examples is text of its own.
 */
#include "driver/driver.h"

#include <stdio.h>

typedef struct VerbLine {
    const char *name, *arguments, *summary;
} VerbLine;

typedef struct OptionLine {
    const char *name;
    char letter;
    const char *value;
    unsigned verbs, needed;
    const char *help;
} OptionLine;

static const VerbLine verbs[] = {
#define VERB(id, name, function, arguments, minimum, maximum, summary) {name, arguments, summary},
#include "driver/options.def"
};

#define IN(id) (1u << VERB_##id)
static const OptionLine options[] = {
#define OPTION(id, name, letter, kind, value, verbs, needed, help) \
    {name, letter, value, verbs, needed, help},
#include "driver/options.def"
};

static const struct {
    int number;
    const char *meaning;
} statuses[] = {
#define STATUS(id, number, meaning) {number, meaning},
#include "driver/options.def"
};

/* ---- help ----------------------------------------------------------------------------------- */

static void print_option(const OptionLine *o)
{
    char left[64], letter[] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, *o->value ? "=" : "", o->value);
    printf("  %-28s %s\n", left, o->help);
}

static void print_verb(VerbId verb)
{
    const VerbLine *v = &verbs[verb];
    printf("usage: net2c %s", v->name);
    if (*v->arguments)
        printf(" %s", v->arguments);
    for (int i = 0; i < OPT_COUNT; i++)
        if (options[i].needed >> verb & 1)
            printf(" -%c %s", options[i].letter, options[i].value);
    printf(" [options]\n\n%s\n\noptions:\n", v->summary);
    for (int i = 0; i < OPT_COUNT; i++)
        if (options[i].verbs >> verb & 1)
            print_option(&options[i]);
}

static void print_verbs(void)
{
    printf("usage: net2c VERB [options] FILE\n\nverbs:\n");
    for (int i = 0; i < VERB_COUNT; i++)
        printf("  %-14s %s\n", verbs[i].name, verbs[i].summary);
    printf("\nnet2c help VERB shows the options of a verb; a MODEL of - is standard input.\n"
           "exit status:\n");
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        printf("  %-14d %s\n", statuses[i].number, statuses[i].meaning);
}

int cmd_help(Cx *cx, const Options *o)
{
    VerbId verb = o->verb;
    int words;
    if (verb == VERB_HELP && o->n_arguments == 0) {
        print_verbs();
        return STATUS_OK;
    }
    if (verb == VERB_HELP)
        verb = verb_find(o->argument[0], o->n_arguments > 1 ? o->argument[1] : NULL, &words);
    if (verb == VERB_COUNT) {
        diag_error(cx->diags, NO_PLACE, "E0001", "there is no verb '%s'", o->argument[0]);
        diag_help(cx->diags, "net2c help lists the verbs");
        return STATUS_USAGE;
    }
    print_verb(verb);
    return STATUS_OK;
}

int cmd_version(Cx *cx, const Options *o)
{
    (void)cx;
    (void)o;
    printf("net2c %s\n", NET2C_VERSION);
    return STATUS_OK;
}

/* ---- the manual page ------------------------------------------------------------------------ */

/* Text of one roff line: hyphens that can be copied, no accidental request. */
static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            putchar('\\');
        putchar(*text == '\\' ? 'e' : *text);
    }
}

static void roff_option(const OptionLine *o)
{
    printf(".TP\n");
    if (o->letter)
        printf("\\fB\\-%c\\fP, ", o->letter);
    printf("\\fB\\-\\-");
    print_roff(o->name);
    printf("\\fP%s\\fI", *o->value ? "=" : "");
    print_roff(o->value);
    printf("\\fP\n");
    print_roff(o->help);
    printf(".\n");
    if (o->verbs == ~0u)
        return;
    const char *separator = "For \\fB";
    for (int v = 0; v < VERB_COUNT; v++)
        if (o->verbs >> v & 1) {
            printf("%s%s\\fP", separator, verbs[v].name);
            separator = ", \\fB";
        }
    printf(".\n");
}

static void roff_verb(int v)
{
    printf(".TP\n\\fB%s\\fP \\fI%s\\fP", verbs[v].name, verbs[v].arguments);
    for (int i = 0; i < OPT_COUNT; i++)
        if (options[i].needed >> v & 1)
            printf(" \\fB\\-%c\\fP \\fI%s\\fP", options[i].letter, options[i].value);
    printf("\n");
    print_roff(verbs[v].summary);
    printf(".\n");
}

int cmd_man(Cx *cx, const Options *o)
{
    (void)cx;
    (void)o;
    printf(".TH NET2C 1 \"\" \"net2c " NET2C_VERSION "\"\n"
           ".SH NAME\nnet2c \\- compile a neural network to C\n"
           ".SH SYNOPSIS\n.B net2c\n.I VERB\n[\\fIoption\\fP...] [\\fIFILE\\fP]\n"
           ".SH DESCRIPTION\nA \\fIMODEL\\fP is a YAML description of a network; \\fB\\-\\fP is "
           "standard input.\nResults go to standard output, messages to standard error.\n"
           ".SH VERBS\n");
    for (int v = 0; v < VERB_COUNT; v++)
        roff_verb(v);
    printf(".SH OPTIONS\nAn option's value follows \\(oq=\\(cq or is the next word; "
           "\\fB\\-\\-\\fP ends the options.\nDefaults stand in parentheses.\n");
    for (int i = 0; i < OPT_COUNT; i++)
        roff_option(&options[i]);
    printf(".SH FILES\n\\fBcompile \\-o\\fP \\fIDIR/NAME\\fP writes\n"
           ".TP\n\\fINAME\\fP.c, \\fINAME\\fP.h\nthe network; the header is its manual\n"
           ".TP\n\\fINAME\\fP.n2w\nthe weights in the order in which the code reads them\n"
           ".TP\n\\fINAME\\fP.json\nlayers, sizes and memory, for other programs\n"
           ".SH ENVIRONMENT\n.TP\n.B CC\nthe C compiler that run, verify and bench call\n"
           ".TP\n.B NO_COLOR\nif not empty: messages without colours\n"
           ".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        printf(".TP\n%d\n%s\n", statuses[i].number, statuses[i].meaning);
    printf(".SH EXAMPLES\n.EX\n"
           "net2c weights init net.yaml \\-o net.safetensors\n"
           "net2c compile net.yaml \\-w net.safetensors \\-o out/net\n"
           "net2c verify net.yaml \\-w net.safetensors\n"
           "net2c run net.yaml \\-w net.safetensors \\-i photo.jpg \\-\\-top 5\n.EE\n");
    return STATUS_OK;
}

/* ---- completion ----------------------------------------------------------------------------- */

/* Words after a whole verb are its options; else verbs; what matches neither is a file. */
int cmd_completion(Cx *cx, const Options *o)
{
    static const char *const shells[] = {"bash"};
    if (!str_eq(o->argument[0], shells[0])) {
        usage_unknown(cx, "shell", o->argument[0], shells, 1);
        return STATUS_USAGE;
    }
    printf("_net2c() {\n    local words\n    case \"${COMP_WORDS[*]:1:COMP_CWORD}\" in\n");
    for (int v = 0; v < VERB_COUNT; v++) {
        printf("    '%s '*) words='", verbs[v].name);
        for (int i = 0; i < OPT_COUNT; i++)
            if (options[i].verbs >> v & 1)
                printf(" --%s", options[i].name);
        printf("' ;;\n");
    }
    printf("    *) words='");
    for (int v = 0; v < VERB_COUNT; v++)
        printf(" %s", verbs[v].name);
    printf("' ;;\n    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$2\"))\n}\n"
           "complete -o default -F _net2c net2c\n");
    return STATUS_OK;
}
