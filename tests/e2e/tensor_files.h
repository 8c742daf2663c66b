/* tensor_files: the two tensor file formats that test programs write and read, kept apart from
 * the compiler's own readers: float32 .npy and .safetensors. Failures end the program: a test that
 * cannot write its files has nothing to say.
 */
#ifndef NET2C_TENSOR_FILES_H
#define NET2C_TENSOR_FILES_H

#include <stddef.h>

typedef struct TensorFile {
    const char *key;
    int rank, dim[6];
    const float *data;
} TensorFile;

size_t tensor_count(int rank, const int *dim);
void npy_write(const char *path, int rank, const int *dim, const float *data);
/* The data (to be freed) of a float32 C-order file with exactly `count` elements; NULL if the file
 * is not there or is something else, with one line on stderr. */
float *npy_read(const char *path, size_t count);
void safetensors_write(const char *path, int n, const TensorFile *tensor);

#endif
