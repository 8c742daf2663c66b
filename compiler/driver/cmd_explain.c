/* net2c explain: what a message's code means, with an example of what is wrong and what is right.
 *
 *     net2c explain            all codes, one a line
 *     net2c explain E0410      this one
 *
 * contract: codes.def says it all. An unknown code is an error of the user, with the nearest one.
 */
#include "driver/driver.h"

#include <stdio.h>

#define BUG_TEXT                                                                            \
    "Only a mistake in net2c itself can cause this. Please report it with the whole message\n" \
    "and the model; without an optional pass (--disable-pass) it may work for now."

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
    printf("%s: %s\n\n%s\n\n", code->name, code->title, code->text ? code->text : BUG_TEXT);
    print_example("wrong: ", code->wrong);
    print_example("right: ", code->right);
    printf("exit status: %d\n", (int)code->status);
    return STATUS_OK;
}
