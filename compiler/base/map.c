/* map: from strings to pointers, remembering the order of first insertion.
 *
 * Entries lie in one array in insertion order; an open-addressing table of entry numbers finds
 * them. Nothing is ever removed, so iteration is a plain loop over map_key and map_value.
 */
#include "base/base.h"

#include <string.h>

typedef struct Entry {
    const char *key;
    void *value;
    uint64_t hash;
} Entry;

struct Map {
    Arena *arena;
    Entry *entry;
    size_t count, cap;
    size_t *slot;                  /* entry number + 1; 0 is free */
    size_t slots;                  /* a power of two, more than 4/3 of count; 0 at first */
};

Map *map_new(Arena *a)
{
    Map *m = NEW(a, Map);
    m->arena = a;
    return m;
}

/* The slot that holds key, or the free one where it would go. Needs slots > 0. */
static size_t find_slot(const Map *m, const char *key, uint64_t hash)
{
    size_t mask = m->slots - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        if (m->slot[at] == 0)
            return at;
        const Entry *e = &m->entry[m->slot[at] - 1];
        if (e->hash == hash && strcmp(e->key, key) == 0)
            return at;
    }
}

static void rehash(Map *m)
{
    m->slots = m->slots == 0 ? 16 : m->slots * 2;
    m->slot = NEW_ARRAY(m->arena, size_t, m->slots);
    for (size_t i = 0; i < m->count; i++)
        m->slot[find_slot(m, m->entry[i].key, m->entry[i].hash)] = i + 1;
}

void map_put(Map *m, const char *key, void *value)
{
    if (m->count >= m->slots / 4 * 3)
        rehash(m);
    uint64_t hash = hash_bytes(HASH_SEED, key, strlen(key));
    size_t at = find_slot(m, key, hash);
    if (m->slot[at] != 0) {
        m->entry[m->slot[at] - 1].value = value;
        return;
    }
    m->entry = arena_grow(m->arena, m->entry, m->count, m->count + 1, &m->cap, sizeof(Entry));
    m->entry[m->count] = (Entry){arena_strdup(m->arena, key), value, hash};
    m->slot[at] = ++m->count;
}

void *map_get(const Map *m, const char *key)
{
    if (m->count == 0)
        return NULL;
    size_t at = find_slot(m, key, hash_bytes(HASH_SEED, key, strlen(key)));
    return m->slot[at] == 0 ? NULL : m->entry[m->slot[at] - 1].value;
}

size_t map_count(const Map *m)
{
    return m->count;
}

const char *map_key(const Map *m, size_t i)
{
    return m->entry[i].key;
}

void *map_value(const Map *m, size_t i)
{
    return m->entry[i].value;
}
