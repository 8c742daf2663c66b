/* classify: the compiler inside a program. A model is compiled, loaded and run in this process.
 *
 *   classify lenet5.yaml lenet5.safetensors images.npy fashion_labels.txt
 *
 * Prints the name of the largest output of each item. The order of things: a job says what to
 * compile; a result is what comes of it, messages included; once it is there, the job may go.
 */
#include <net2c/net2c.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole items of `elements` floats: the array in a .npy file, format 1, where 10 bytes end with the
 * length of the header that follows them. NULL: it has none. */
static float *read_images(const char *path, size_t elements, size_t *items)
{
    unsigned char head[10];
    float *images = NULL, *grown;
    FILE *file = fopen(path, "rb");
    int more = file && fread(head, sizeof head, 1, file) == 1 &&
               fseek(file, head[8] | head[9] << 8, SEEK_CUR) == 0;
    for (*items = 0; more; *items += (size_t)more) {
        grown = realloc(images, (*items + 1) * elements * sizeof *images);
        images = grown ? grown : images;
        more = grown && fread(grown + *items * elements, sizeof *grown, elements, file) == elements;
    }
    if (file)
        fclose(file);
    if (*items > 0)
        return images;
    fprintf(stderr, "classify: no array of %zu floats in %s\n", elements, path);
    free(images);
    return NULL;
}

/* Line number `line` of a file, from 0. */
static void print_line(const char *path, size_t line)
{
    char text[100] = "";
    FILE *file = fopen(path, "r");
    for (size_t i = 0; file && i <= line; i++)
        if (!fgets(text, sizeof text, file))
            text[0] = '\0';
    if (file)
        fclose(file);
    text[strcspn(text, "\n")] = '\0';
    printf("%s\n", *text ? text : "no name");
}

static void print_classes(const float *score, size_t items, size_t classes, const char *labels)
{
    for (; items > 0; items--, score += classes) {
        size_t best = 0;
        for (size_t i = 1; i < classes; i++)
            if (score[i] > score[best])
                best = i;
        print_line(labels, best);
    }
}

static net2c_status compile(const char *model, const char *weights, net2c_result **result)
{
    net2c_job *job;
    net2c_status status = net2c_job_new(&job);
    if (status == NET2C_OK)
        status = net2c_job_model_file(job, model);
    if (status == NET2C_OK)
        status = net2c_job_weights_file(job, weights);
    if (status == NET2C_OK)
        status = net2c_load(job, result);
    net2c_job_delete(job);
    return status;
}

static net2c_status classify(net2c_result *result, const char *path, const char *labels)
{
    const net2c_tensor *in = net2c_inputs(result, NULL), *out = net2c_outputs(result, NULL);
    net2c_status status = NET2C_BAD_ARGUMENT;
    size_t items;
    float *images = read_images(path, in->elements, &items);
    float *score = malloc(items * out->elements * sizeof *score);
    if (images && score)
        status = net2c_run(result, (const float *const[]){images}, &score, items);
    if (status == NET2C_OK)
        print_classes(score, items, out->elements, labels);
    free(images);
    free(score);
    return status;
}

int main(int argc, char **argv)
{
    net2c_result *result = NULL;
    if (argc != 5 || net2c_abi() != NET2C_ABI) {
        fprintf(stderr, "usage: classify MODEL WEIGHTS IMAGES LABELS, with the right libnet2c\n");
        return 2;
    }
    net2c_status status = compile(argv[1], argv[2], &result);
    fputs(net2c_messages_text(result), stderr);
    if (status == NET2C_OK)
        status = classify(result, argv[3], argv[4]);
    if (status != NET2C_OK)
        fprintf(stderr, "classify: %s\n", net2c_status_text(status));
    net2c_result_delete(result);
    return status != NET2C_OK;
}
