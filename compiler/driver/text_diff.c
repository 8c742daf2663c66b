/* text_diff: what differs between two texts, line by line.
 *
 *     a b c d  and  a x c d  ->  one change: old lines 1..2, new lines 1..2
 *
 * The fewest lines that go and come, by Myers' algorithm (An O(ND) Difference Algorithm and Its
 * Variations, 1986) in its linear-space form: searches from both ends meet in the middle of a
 * shortest path, and each half is split again.
 *
 * contract: memory is linear in the number of lines. Texts that share little would take quadratic
 * time: a search that has made MAX_EDITS from each end goes on from where it has come farthest, so
 * that the changes of such texts are right but may not be the fewest.
 */
#include "driver/driver.h"

#include <limits.h>
#include <string.h>

#define MAX_EDITS 1024
#define CONTEXT 3                      /* lines around a change */
#define NOWHERE (INT_MIN / 2)          /* a diagonal that no path has reached */

typedef struct Line {
    const char *text;
    size_t length;
    uint64_t hash;
} Line;

typedef struct Side {                  /* one of the two texts */
    Line *line;
    bool *changed;                     /* parallel: goes, or comes */
    int n;
} Side;

/* Lines from..to of both texts. A path from (0, 0) to (n, m) goes right over an old line that goes,
 * down over a new line that comes, diagonally over a line of both. Diagonal k has x - y = k. */
typedef struct Search {
    const Side *side;                  /* old, new */
    int from[2], to[2];
    int n, m;
    int *reach[2];                     /* the largest x on each diagonal, from each end */
} Search;

static Side side_of(Arena *a, const char *text)
{
    Side s = {NULL, NULL, 0};
    for (const char *p = text; *p; p++)
        s.n += *p == '\n';
    s.line = NEW_ARRAY(a, Line, s.n + 1);
    s.changed = NEW_ARRAY(a, bool, s.n + 1);
    s.n = 0;
    for (const char *p = text; *p; s.n++) {
        size_t length = strcspn(p, "\n");
        s.line[s.n] = (Line){p, length, hash_bytes(HASH_SEED, p, length)};
        p += length + (p[length] == '\n');
    }
    return s;
}

static bool same_line(const Side *side, int old, int new)
{
    const Line *a = &side[0].line[old], *b = &side[1].line[new];
    return a->hash == b->hash && a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* One edit more on diagonal k, and then along it as far as lines are equal. `end` 1: both texts
 * read from their ends. */
static void extend(Search *s, int end, int k)
{
    int *reach = s->reach[end], down = reach[k + 1], right = reach[k - 1] + 1;
    int x = down > right ? down : right, y = x - k;
    if (x < 0 || x > s->n || y > s->m) {
        reach[k] = NOWHERE;
        return;
    }
    while (x < s->n && y < s->m &&
           (end ? same_line(s->side, s->to[0] - 1 - x, s->to[1] - 1 - y)
                : same_line(s->side, s->from[0] + x, s->from[1] + y))) {
        x++;
        y++;
    }
    reach[k] = x;
}

/* All diagonals of an end after so many edits. true: on *k the two ends have met. */
static bool extend_all(Search *s, int end, int edits, int *k)
{
    int delta = s->n - s->m, other = edits - (end ? 0 : 1);
    s->reach[end][edits + 1] = s->reach[end][-edits - 1] = NOWHERE;
    if (edits == 0)
        s->reach[end][1] = 0;
    for (*k = -edits; *k <= edits; *k += 2) {
        extend(s, end, *k);
        int across = delta - *k;           /* the same diagonal, seen from the other end */
        if ((across + other) % 2 == 0 && across >= -other && across <= other &&
            s->reach[end][*k] + s->reach[!end][across] >= s->n)
            return true;
    }
    return false;
}

/* A point on a shortest path, neither its beginning nor its end, or at least on a path. */
static void find_middle(Search *s, int *x, int *y)
{
    int k = 0, edits = 0;
    for (; edits <= MAX_EDITS; edits++) {
        if (extend_all(s, 0, edits, &k)) {
            *x = s->reach[0][k];
            *y = *x - k;
            return;
        }
        if (extend_all(s, 1, edits, &k)) {
            *x = s->n - s->reach[1][k];
            *y = s->m - (s->reach[1][k] - k);
            return;
        }
    }
    *x = *y = 0;
    for (k = -MAX_EDITS; k <= MAX_EDITS; k += 2)
        if (s->reach[0][k] >= 0 && 2 * s->reach[0][k] - k > *x + *y) {
            *x = s->reach[0][k];
            *y = *x - k;
        }
}

static void mark_changes(Search s)
{
    while (s.from[0] < s.to[0] && s.from[1] < s.to[1] &&
           same_line(s.side, s.from[0], s.from[1])) {
        s.from[0]++;
        s.from[1]++;
    }
    while (s.from[0] < s.to[0] && s.from[1] < s.to[1] &&
           same_line(s.side, s.to[0] - 1, s.to[1] - 1)) {
        s.to[0]--;
        s.to[1]--;
    }
    s.n = s.to[0] - s.from[0];
    s.m = s.to[1] - s.from[1];
    if (s.n == 0 || s.m == 0) {
        for (int i = 0; i < 2; i++)
            memset(s.side[i].changed + s.from[i], true, (size_t)(s.to[i] - s.from[i]));
        return;
    }
    int x, y;
    find_middle(&s, &x, &y);
    Search first = s, second = s;
    first.to[0] = second.from[0] = s.from[0] + x;
    first.to[1] = second.from[1] = s.from[1] + y;
    mark_changes(first);
    mark_changes(second);
}

static void compare(Arena *a, Side side[2])
{
    Search s = {.side = side, .to = {side[0].n, side[1].n}};
    int most = side[0].n + side[1].n < MAX_EDITS ? side[0].n + side[1].n : MAX_EDITS;
    for (int end = 0; end < 2; end++)
        s.reach[end] = NEW_ARRAY(a, int, 2 * most + 5) + most + 2;
    mark_changes(s);
}

int text_changes(Arena *a, const char *old, const char *new, Change **out)
{
    Side side[2] = {side_of(a, old), side_of(a, new)};
    int at[2] = {0, 0}, n = 0;
    compare(a, side);
    *out = NEW_ARRAY(a, Change, side[0].n + side[1].n + 1);
    while (at[0] < side[0].n || at[1] < side[1].n) {
        Change c = {.from = {at[0], at[1]}};
        for (int i = 0; i < 2; i++) {
            while (at[i] < side[i].n && side[i].changed[at[i]])
                at[i]++;
            c.to[i] = at[i];
        }
        if (c.to[0] > c.from[0] || c.to[1] > c.from[1])
            (*out)[n++] = c;
        at[0]++;                       /* a line of both */
        at[1]++;
    }
    return n;
}

/* ---- as text --------------------------------------------------------------------------------- */

static void add_lines(Str *s, const Side *side, int from, int to, const char *mark, bool color)
{
    const char *paint = *mark == '-' ? "\033[31m" : "\033[32m";
    bool painted = color && *mark != ' ';
    for (int i = from; i < to; i++) {
        str_printf(s, "%s%s", painted ? paint : "", mark);
        str_add_n(s, side->line[i].text, side->line[i].length);
        str_add(s, painted ? "\033[0m\n" : "\n");
    }
}

/* "3,7", the first line and how many. */
static void add_range(Str *s, int from, int to)
{
    str_printf(s, "%d,%d", to > from ? from + 1 : from, to - from);
}

/* Changes that are near each other, with the lines around. */
static void add_hunk(Str *s, const Side side[2], const Change *c, int n, bool color)
{
    const Change *last = &c[n - 1];
    int before = c->from[0] < CONTEXT ? c->from[0] : CONTEXT;
    int left = side[0].n - last->to[0], behind = left < CONTEXT ? left : CONTEXT;
    str_add(s, color ? "\033[36m@@ -" : "@@ -");
    add_range(s, c->from[0] - before, last->to[0] + behind);
    str_add(s, " +");
    add_range(s, c->from[1] - before, last->to[1] + behind);
    str_add(s, color ? " @@\033[0m\n" : " @@\n");
    add_lines(s, side, c->from[0] - before, c->from[0], " ", color);
    for (int i = 0; i < n; i++) {
        add_lines(s, &side[0], c[i].from[0], c[i].to[0], "-", color);
        add_lines(s, &side[1], c[i].from[1], c[i].to[1], "+", color);
        add_lines(s, side, c[i].to[0], i + 1 < n ? c[i + 1].from[0] : c[i].to[0] + behind, " ",
                  color);
    }
}

char *text_diff(Arena *a, const char *old, const char *new, bool color)
{
    const Side side[2] = {side_of(a, old), side_of(a, new)};
    Change *c;
    int n = text_changes(a, old, new, &c);
    Str s = str_new(a);
    for (int first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && c[end].from[0] - c[end - 1].to[0] <= 2 * CONTEXT;)
            end++;
        add_hunk(&s, side, c + first, end - first, color);
    }
    return s.data;
}
