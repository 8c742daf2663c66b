/* net2c explain: what a message's code means, with an example of what is wrong and what is right.
 *
 *     net2c explain            all codes, one a line
 *     net2c explain E0410      this one
 *
 * contract: codes.def says it all. An unknown code is an error of the user, with the nearest one.
 */
#include "driver/driver.h"

#include <stdio.h>
#include <string.h>

static const char bug_text[] =
    "Only a mistake in net2c itself can cause this. Please report it with the whole message and "
    "the model; without an optional pass (--disable-pass) it may work for now.";

static void print_wrapped(const char *text)
{
    size_t column = 0;
    for (size_t n; *text; text += n + (text[n] == ' ')) {
        n = strcspn(text, " ");
        bool fits = column > 0 && column + 1 + n <= 80;
        printf("%s%.*s", fits ? " " : column > 0 ? "\n" : "", (int)n, text);
        column = fits ? column + 1 + n : n;
    }
}

static void print_example(const char *label, const char *text)
{
    printf("%s", text ? label : "");
    for (const char *c = text; c && *c; c++)
        printf(*c == '\n' ? "%c       " : "%c", *c);
    printf("%s", text ? "\n" : "");
}

static int explain_unknown(Cx *cx, const char *name)
{
    const char **names = NEW_ARRAY(cx->perm, const char *, code_count);
    for (int i = 0; i < code_count; i++)
        names[i] = code_table[i].name;
    const char *near = str_nearest(cx->perm, name, names, code_count);
    diag_error(cx->diags, NO_PLACE, "E0008", "there is no code '%s'", name);
    if (near)
        diag_help(cx->diags, "the nearest is %s", near);
    else
        diag_help(cx->diags, "net2c explain lists all codes");
    return STATUS_INPUT;
}

int cmd_explain(Cx *cx, const Options *o)
{
    for (int i = 0; o->n_arguments == 0 && i < code_count; i++)
        printf("%s  %s\n", code_table[i].name, code_table[i].title);
    if (o->n_arguments == 0)
        return STATUS_OK;
    const Code *code = code_find(o->argument[0]);
    if (!code)
        return explain_unknown(cx, o->argument[0]);
    printf("%s: %s\n\n", code->name, code->title);
    print_wrapped(code->text ? code->text : bug_text);
    printf("\n\n");
    print_example("wrong: ", code->wrong);
    print_example("right: ", code->right);
    printf("exit status: %d\n", (int)code->status);
    return STATUS_OK;
}
