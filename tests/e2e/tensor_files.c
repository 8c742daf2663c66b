/* tensor_files: minimal .npy and .safetensors for test programs on little-endian hosts.
 * example: npy_write("x.npy", 2, (int[]){1, 3}, data) -> shape (1, 3), descr '<f4'.
 * Contract: see tensor_files.h. */
#include "tensor_files.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_or_die(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

static void close_or_die(FILE *f, const char *path)
{
    if (ferror(f) || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

size_t tensor_count(int rank, const int *dim)
{
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dim[i];
    return n;
}

void npy_write(const char *path, int rank, const int *dim, const float *data)
{
    char shape[96] = "", header[192];
    for (int i = 0; i < rank; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%d, ", dim[i]);
    snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }",
             shape);
    uint16_t length = 118;                        /* with the ten bytes before it: 128 */
    FILE *f = open_or_die(path, "wb");
    fwrite("\x93NUMPY\x01\x00", 1, 8, f);
    fwrite(&length, 2, 1, f);
    fprintf(f, "%-117s\n", header);
    fwrite(data, sizeof *data, tensor_count(rank, dim), f);
    close_or_die(f, path);
}

float *npy_read(const char *path, size_t count)
{
    unsigned char head[10];
    char text[1024] = "";
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return NULL;
    }
    size_t length = 0;
    if (fread(head, 1, 10, f) == 10 && memcmp(head, "\x93NUMPY\x01", 7) == 0)
        length = (size_t)(head[8] | head[9] << 8);
    float *data = malloc(count * sizeof *data + 1);
    bool ok = length > 0 && length < sizeof text && fread(text, 1, length, f) == length &&
              strstr(text, "'<f4'") && strstr(text, "'fortran_order': False") && data &&
              fread(data, sizeof *data, count, f) == count && fgetc(f) == EOF;
    fclose(f);
    if (ok)
        return data;
    fprintf(stderr, "%s: not a float32 .npy of %zu elements\n", path, count);
    free(data);
    return NULL;
}

void safetensors_write(const char *path, int n, const TensorFile *tensor)
{
    size_t size = 16, used = 0, at = 0;
    for (int i = 0; i < n; i++)
        size += strlen(tensor[i].key) + 256;
    char *header = calloc(1, size);
    if (!header)
        exit(1);
    for (int i = 0; i < n; i++) {
        const TensorFile *t = &tensor[i];
        size_t bytes = tensor_count(t->rank, t->dim) * sizeof(float);
        used += (size_t)snprintf(header + used, size - used,
                                 "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? ',' : '{', t->key);
        for (int d = 0; d < t->rank; d++)
            used += (size_t)snprintf(header + used, size - used, "%s%d", d ? "," : "", t->dim[d]);
        used += (size_t)snprintf(header + used, size - used, "],\"data_offsets\":[%zu,%zu]}", at,
                                 at + bytes);
        at += bytes;
    }
    header[used++] = n ? '}' : '{';
    if (!n)
        header[used++] = '}';
    while (used % 8)
        header[used++] = ' ';
    FILE *f = open_or_die(path, "wb");
    uint64_t length = used;
    fwrite(&length, 8, 1, f);
    fwrite(header, 1, used, f);
    for (int i = 0; i < n; i++)
        fwrite(tensor[i].data, sizeof(float), tensor_count(tensor[i].rank, tensor[i].dim), f);
    close_or_die(f, path);
    free(header);
}
