/* rt_status.c: what each status means, in words. */
#include "net2c_rt.h"

const char *n2c_status_text(n2c_status s)
{
    switch (s) {
    case N2C_OK: return "no error";
    case N2C_BAD_ARGUMENT: return "a pointer is NULL or misaligned, or the batch is 0";
    case N2C_BAD_MAGIC: return "the file is not a net2c weights file";
    case N2C_BAD_VERSION: return "the weights file has another format version";
    case N2C_BAD_ENDIAN: return "the weights file has the other byte order";
    case N2C_BAD_SIZE: return "the weights file is truncated or has been extended";
    case N2C_BAD_ALIGN: return "the weights are not aligned to 64 bytes";
    case N2C_WRONG_MODEL: return "the weights belong to another model or to other options";
    case N2C_BAD_HEADER: return "the header of the weights file has been changed";
    case N2C_BAD_CHECKSUM: return "the weights have been changed: the checksum differs";
    case N2C_NO_CPU: return "this CPU lacks the instruction set the code was made for";
    case N2C_CANCELLED: return "cancelled by on_step";
    case N2C_IO_ERROR: return "a file cannot be read";
    }
    return "unknown status";
}
