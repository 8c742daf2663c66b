"""net2c: the compiler in this process, through ctypes. Standard library only.

    job = net2c.Job(model="lenet5.yaml", weights="lenet5.safetensors")
    job.option("isa", "avx2,portable")
    for name, data in job.compile("lenet5_gen").files().items(): ...
    score, = job.load().run(image)          # arrays of float32: array.array("f"), numpy's

A model or weights are a path, or (name, bytes) in memory. What cannot be done raises Error; its
text is what the command line prints, its messages are a list. NET2C_LIBRARY in the environment is
the library's path, if the system does not find it by name.
"""
import array
import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p

ABI = 1
SEVERITY = ("error", "warning", "note", "help", "remark")

library = ctypes.CDLL(os.environ.get("NET2C_LIBRARY", f"libnet2c.so.{ABI}"))
if library.net2c_abi() != ABI:
    raise ImportError(f"libnet2c has ABI {library.net2c_abi()}, {ABI} is needed")
library.net2c_status_text.restype = library.net2c_messages_text.restype = c_char_p


class Message(ctypes.Structure):
    _fields_ = [("severity", c_int), ("attached", c_size_t), ("code", c_char_p), ("text", c_char_p),
                ("file", c_char_p), ("line", c_int), ("column", c_int), ("length", c_int)]


class File(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("data", c_void_p), ("bytes", c_size_t)]


class Tensor(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("elements", c_size_t), ("rank", c_uint), ("dim", c_size_t * 6)]


class Error(Exception):
    def __init__(self, status, text="", messages=()):
        super().__init__(text or library.net2c_status_text(status).decode())
        self.status, self.messages = status, messages


class Job:
    def __init__(self, model=None, weights=None):
        self.job, self.kept = c_void_p(), []        # kept: memory that the job points to
        self.call("new", byref(self.job))
        for what, given in (("model", model), ("weights", weights)):
            if isinstance(given, (str, os.PathLike)):
                self.call(f"{what}_file", self.job, os.fsencode(given))
            elif given:
                name, data = given
                self.kept.append(data)
                self.call(what, self.job, name.encode(), c_char_p(data), c_size_t(len(data)))

    def __del__(self):
        library.net2c_job_delete(self.job)

    @staticmethod
    def call(function, *arguments):
        status = getattr(library, f"net2c_job_{function}")(*arguments)
        if status:
            raise Error(status)

    def option(self, name, value=None):
        self.call("option", self.job, name.encode(), None if value is None else str(value).encode())

    def result(self, function, *arguments):
        pointer = c_void_p()
        status = getattr(library, f"net2c_{function}")(self.job, *arguments, byref(pointer))
        result = Result(pointer)
        if status:
            raise Error(status, result.text(), result.messages())
        return result

    def check(self):
        return self.result("check")

    def compile(self, base):
        return self.result("compile", base.encode())

    def load(self):
        return self.result("load")


class Result:
    def __init__(self, pointer):
        self.pointer = pointer

    def __del__(self):
        library.net2c_result_delete(self.pointer)

    def list(self, function, kind):
        get, n = getattr(library, f"net2c_{function}"), c_size_t()
        get.restype = POINTER(kind)
        first = get(self.pointer, byref(n))
        return [first[i] for i in range(n.value)]

    def text(self):
        return library.net2c_messages_text(self.pointer).decode()

    def messages(self):
        """Dictionaries, as `net2c check --json` prints them; the first `attached` behind one are
        its notes and helps."""
        return [{"severity": SEVERITY[m.severity], "attached": m.attached,
                 "code": m.code and m.code.decode(), "message": m.text.decode(errors="replace"),
                 "file": m.file and os.fsdecode(m.file), "line": m.line, "column": m.column,
                 "length": m.length} for m in self.list("messages", Message)]

    def files(self):
        return {f.name.decode(): ctypes.string_at(f.data, f.bytes)
                for f in self.list("files", File)}

    def inputs(self):
        return self.list("inputs", Tensor)

    def outputs(self):
        return self.list("outputs", Tensor)

    def run(self, *inputs):
        """One array an input, any number of items; a list of arrays, one an output."""
        items = memoryview(inputs[0]).nbytes // (4 * self.inputs()[0].elements)
        for tensor, data in zip(self.inputs(), inputs, strict=True):
            if memoryview(data).nbytes != 4 * items * tensor.elements:
                raise ValueError(f"{tensor.name.decode()}: {items} x {tensor.elements} floats "
                                 "expected")
        outputs = [array.array("f", bytes(4 * items * t.elements)) for t in self.outputs()]
        status = library.net2c_run(self.pointer, addresses(inputs), addresses(outputs),
                                   c_size_t(items))
        if status:
            raise Error(status)
        return outputs


def addresses(arrays):
    """Where the bytes of writable objects are."""
    return (c_void_p * len(arrays))(*(ctypes.addressof(ctypes.c_char.from_buffer(a))
                                      for a in arrays))
