/* base: what every other folder stands on. Arenas, diagnostics, strings, map, files, checked
 * arithmetic. Depends on libc only.
 *
 * Memory: everything is allocated in an arena and freed with it; there is no free() elsewhere.
 * Out of memory longjmps to the point set with cx_guard(): the one non-local exit.
 * Errors: a function that returns false or NULL has already reported to Cx.diags.
 */
#ifndef NET2C_BASE_H
#define NET2C_BASE_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- arena ------------------------------------------------------------------------------ */
typedef struct Arena Arena;

Arena *arena_new(jmp_buf *on_out_of_memory);   /* NULL when malloc fails */
void arena_reset(Arena *a);                    /* forget everything, keep the first chunk */
void arena_delete(Arena *a);
void *arena_alloc(Arena *a, size_t bytes);     /* zeroed, 16-byte aligned, never NULL */
void *arena_alloc_64(Arena *a, size_t bytes);  /* the same for vectors: 64-byte aligned */
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *format, va_list args);
/* Grow an array that lives in an arena: returns room for at least need elements (copies). */
void *arena_grow(Arena *a, const void *old, size_t count, size_t need, size_t *cap, size_t elem);

#define NEW(arena, T) ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_ARRAY(arena, T, n) ((T *)arena_alloc((arena), sizeof(T) * (size_t)(n)))

/* ---- diagnostics ------------------------------------------------------------------------ */
/* A place in a user's file: 1-based line and column, len columns to underline (0: caret only).
 * file NULL means no place. */
typedef struct Place {
    const char *file;
    int line, col, len;
} Place;

#define NO_PLACE ((Place){0})

typedef enum { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE, DIAG_HELP, DIAG_REMARK } DiagKind;

typedef struct Diag {
    DiagKind kind;
    Place place;
    const char *code;  /* "E0203" or NULL, of a remark the pass; notes and helps belong to the
                          error before them */
    const char *text;
} Diag;

typedef struct Diags Diags;

Diags *diags_new(Arena *a);
/* Register the text of a file so that messages can quote its lines. text need not end in 0. */
void diags_add_source(Diags *d, const char *file, const char *text, size_t len);
/* Always false, for functions that return false when they have reported. */
bool diag_add(Diags *d, DiagKind kind, Place p, const char *code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
#define diag_error(d, ...) diag_add((d), DIAG_ERROR, __VA_ARGS__)
#define diag_note(d, p, ...) diag_add((d), DIAG_NOTE, (p), NULL, __VA_ARGS__)
#define diag_help(d, ...) diag_add((d), DIAG_HELP, NO_PLACE, NULL, __VA_ARGS__)
/* What passes have to say, see pass_remark(), is kept but not rendered. */
void diags_hide_remarks(Diags *d);
int diags_error_count(const Diags *d);
int diags_count(const Diags *d);
const Diag *diags_get(const Diags *d, int i);
/* All messages from number `first` on as text (place, caret, code), control characters escaped,
 * quoted text capped, at most 20 errors. color: ANSI colours. */
char *diags_render(const Diags *d, Arena *a, int first, bool color);

/* ---- context ---------------------------------------------------------------------------- */
typedef struct Cx {
    Arena *perm;   /* lives as long as the compilation */
    Arena *temp;   /* reset after each pass */
    Diags *diags;
    jmp_buf out_of_memory;
    struct OutFile *open_files;   /* not yet committed: cx_delete discards them */
    struct TempFolder *folders;   /* cx_delete removes them */
    struct AtEnd *at_end;
    volatile sig_atomic_t child;  /* the process group that works for us; 0: none */
    void (*on_phase)(const char *text);       /* NULL: nobody wants to know what is being done */
} Cx;

/* if (cx_guard(cx)) { out of memory: report it, cx_delete, leave } */
#define cx_guard(cx) setjmp((cx)->out_of_memory)

Cx *cx_new(void);          /* NULL when out of memory */
void cx_delete(Cx *cx);
/* For what no arena holds: cx_delete calls end(object), also after out of memory; what is added
 * last comes first. Ask for it before there is something to end. */
void cx_at_end(Cx *cx, void (*end)(void *object), void *object);
/* What begins now, for those who wait. */
void cx_phase(Cx *cx, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For the handler of a signal that ends the program: no child and no temporary file stays. */
void cx_interrupt(const Cx *cx);
/* Starts a program, found by PATH, as cx->child; fd[i] becomes its descriptor i, -1: that is ours.
 * Whoever has waited for it sets cx->child to 0. Returns 0 or the system's error. */
int child_start(Cx *cx, const char *const argv[], const int fd[3]);

/* ---- strings ---------------------------------------------------------------------------- */
typedef struct Str {       /* a growing string in an arena; data is always 0-terminated */
    Arena *arena;
    char *data;
    size_t len, cap;
} Str;

Str str_new(Arena *a);
void str_add(Str *s, const char *text);
void str_add_n(Str *s, const char *text, size_t n);
void str_char(Str *s, char c);
void str_printf(Str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Locale-independent numbers: the shortest decimal that reads back to the same double;
 * a C hexadecimal float constant (0x1.8p+1); both without using the locale's point. */
void str_double(Str *s, double v);
void str_hex_double(Str *s, double v);
bool parse_double(const char *text, double *out);   /* whole string; decimal, hex, inf, nan */
bool parse_i64(const char *text, int64_t *out);     /* whole string; overflow is false */
/* The words of text (NULL: none), separated by spaces, at most max of them; returns how many. */
int str_words(Arena *a, const char *text, const char *word[], int max);
bool str_eq(const char *a, const char *b);          /* NULLs are equal to each other only */
/* The character at text (n > 0 bytes left) and its length; UTF8_INVALID consumes one byte. */
uint32_t utf8_decode(const char *text, size_t n, size_t *used);
#define UTF8_INVALID UINT32_C(0xffffffff)
/* The nearest of n candidates by edit distance, or NULL if none is near enough to suggest. */
const char *str_nearest(Arena *a, const char *word, const char *const *candidates, int n);
uint64_t hash_bytes(uint64_t seed, const void *data, size_t n);   /* FNV-1a 64; seed HASH_SEED */
#define HASH_SEED UINT64_C(14695981039346656037)

/* ---- map: string to pointer, insertion ordered -------------------------------------------- */
typedef struct Map Map;

Map *map_new(Arena *a);
void map_put(Map *m, const char *key, void *value);    /* replaces; key is copied */
void *map_get(const Map *m, const char *key);          /* NULL if absent */
size_t map_count(const Map *m);
const char *map_key(const Map *m, size_t i);           /* in order of first insertion */
void *map_value(const Map *m, size_t i);

/* ---- files ------------------------------------------------------------------------------ */
typedef struct Bytes {
    const uint8_t *data;
    size_t size;
} Bytes;

/* Whole regular file (or "-": standard input) of at most max bytes; reports E0101.. */
bool file_read(Cx *cx, const char *path, size_t max, Bytes *out);
/* Read-only mapping of a regular file; file_unmap ends it; file_forget lets the kernel drop the
 * pages of a range that has been consumed (keeps peak memory low on large weights). */
bool file_map(Cx *cx, const char *path, Bytes *out);
void file_forget(Bytes b, size_t offset, size_t size);
void file_unmap(Bytes b);
/* "cannot VERB 'PATH': the reason of errno number error"; returns false. */
bool file_error(Cx *cx, const char *code, const char *verb, const char *path, int error);

/* A file that appears whole or not at all: written beside its target, fsynced, renamed. */
typedef struct OutFile OutFile;

OutFile *out_open(Cx *cx, const char *path);                       /* NULL: reported */
bool out_write(OutFile *f, const void *data, size_t n);
bool out_write_at(OutFile *f, uint64_t offset, const void *data, size_t n);   /* patch */
/* Where all that was written so far can be read; NULL: reported. */
const char *out_written(OutFile *f);
bool out_commit(OutFile *f);      /* false: reported, target untouched, temp removed */
void out_discard(OutFile *f);
/* A file of at most `size` bytes that is only memory: to be written to, neither committed nor
 * discarded. out_bytes: what it holds, for as long as the context lives, 64-byte aligned. */
OutFile *out_memory(Cx *cx, size_t size);
Bytes out_bytes(OutFile *f);
bool file_write(Cx *cx, const char *path, const void *data, size_t n);   /* all of the above */

void out_unlink_all(const Cx *cx);   /* the temporary files, for cx_interrupt */

/* A private folder below TMPDIR. names: of the files that may lie in it, NULL behind the last. */
typedef struct TempFolder {
    Cx *cx;
    struct TempFolder *next;
    const char *path;
    const char *const *names;
} TempFolder;

TempFolder *folder_make(Cx *cx, const char *const *names);         /* NULL: reported */
void folder_remove(TempFolder *f);

/* ---- checked arithmetic: false on overflow or negative result where unsigned --------------- */
bool checked_add(int64_t a, int64_t b, int64_t *out);
bool checked_sub(int64_t a, int64_t b, int64_t *out);
bool checked_mul(int64_t a, int64_t b, int64_t *out);
bool checked_size_mul(size_t a, size_t b, size_t *out);
bool checked_size_add(size_t a, size_t b, size_t *out);
int64_t floor_div(int64_t a, int64_t b);   /* b > 0 */
int64_t floor_mod(int64_t a, int64_t b);   /* b > 0; result in 0..b-1 */

#endif
