/* arena: memory that is allocated piece by piece and freed all at once.
 *
 * An arena is a list of chunks; allocation bumps an offset in the newest one. Pieces are zeroed
 * and 16-byte aligned. When malloc fails, the arena longjmps to the buffer it was made with, so
 * that no caller ever sees NULL.
 *
 * Built with -DNET2C_ARENA_MALLOC each piece is a chunk of its own, so that AddressSanitizer and
 * valgrind see its exact bounds.
 */
#include "base/base.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16
#ifdef NET2C_ARENA_MALLOC
#define FIRST_CHUNK ((size_t)0)
#define LARGEST_CHUNK ((size_t)0)
#else
#define FIRST_CHUNK ((size_t)32 << 10)
#define LARGEST_CHUNK ((size_t)4 << 20)
#endif

typedef struct Chunk Chunk;
struct Chunk {
    Chunk *older;
    size_t used, size;
    alignas(ALIGNMENT) char data[];
};

struct Arena {
    Chunk *newest;
    size_t next_size;              /* of the next ordinary chunk: doubles up to LARGEST_CHUNK */
    jmp_buf *on_out_of_memory;
};

Arena *arena_new(jmp_buf *on_out_of_memory)
{
    Arena *a = malloc(sizeof *a);
    if (a != NULL)
        *a = (Arena){.next_size = FIRST_CHUNK, .on_out_of_memory = on_out_of_memory};
    return a;
}

void arena_reset(Arena *a)
{
    Chunk *c = a->newest;
    while (c != NULL && c->older != NULL) {
        Chunk *older = c->older;
        free(c);
        c = older;
    }
    if (c != NULL)
        c->used = 0;
    a->newest = c;
    a->next_size = FIRST_CHUNK;
}

void arena_delete(Arena *a)
{
    if (a == NULL)
        return;
    arena_reset(a);
    free(a->newest);
    free(a);
}

static _Noreturn void out_of_memory(Arena *a)
{
    longjmp(*a->on_out_of_memory, 1);
}

static Chunk *add_chunk(Arena *a, size_t bytes)
{
    size_t size = bytes > a->next_size ? bytes : a->next_size, total;
    if (!checked_size_add(sizeof(Chunk), size, &total))
        out_of_memory(a);
    Chunk *c = malloc(total);
    if (c == NULL)
        out_of_memory(a);
    c->older = a->newest;
    c->used = 0;
    c->size = size;
    a->newest = c;
    if (a->next_size != LARGEST_CHUNK)
        a->next_size *= 2;
    return c;
}

void *arena_alloc(Arena *a, size_t bytes)
{
    size_t rounded;
    if (!checked_size_add(bytes == 0 ? 1 : bytes, ALIGNMENT - 1, &rounded))
        out_of_memory(a);
    rounded &= ~(size_t)(ALIGNMENT - 1);
    Chunk *c = a->newest;
    if (c == NULL || c->size - c->used < rounded)
        c = add_chunk(a, rounded);
    char *piece = c->data + c->used;
    c->used += rounded;
    memset(piece, 0, rounded);
    return piece;
}

void *arena_alloc_64(Arena *a, size_t bytes)
{
    size_t room;
    if (!checked_size_add(bytes, 64 - ALIGNMENT, &room))
        out_of_memory(a);
    char *piece = arena_alloc(a, room);
    return piece + (64 - (uintptr_t)piece % 64) % 64;
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
    size_t bytes;
    if (!checked_size_add(n, 1, &bytes))
        out_of_memory(a);
    char *copy = arena_alloc(a, bytes);
    if (n > 0)
        memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(Arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(Arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
    if (n > 0)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(Arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(a, format, args);
    va_end(args);
    return text;
}

void *arena_grow(Arena *a, const void *old, size_t count, size_t need, size_t *cap, size_t elem)
{
    if (need <= *cap)
        return (void *)(uintptr_t)old;
    size_t room = *cap < 4 ? 4 : *cap, bytes;
    if (room > SIZE_MAX / 2)
        out_of_memory(a);
    room *= 2;
    if (room < need)
        room = need;
    if (!checked_size_mul(room, elem, &bytes))
        out_of_memory(a);
    void *grown = arena_alloc(a, bytes);
    if (count > 0)
        memcpy(grown, old, count * elem);
    *cap = room;
    return grown;
}
