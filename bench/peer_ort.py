"""peer_ort: ONNX Runtime as a program that runs on request (see yardstick.h).

usage: peer_ort.py MODEL.onnx THREADS BATCH INPUT.f32 OUTPUT.f32
"""
import sys
import time

import numpy as np
import onnxruntime


def main():
    model, threads, batch, source, target = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    x = np.fromfile(source, dtype=np.float32).reshape([int(batch)] + entry.shape[1:])
    session.run(None, {entry.name: x})[0].astype(np.float32).tofile(target)
    print(f"version {onnxruntime.__version__}")
    print("precision f32")
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        session.run(None, {entry.name: x})
        print(f"{(time.perf_counter() - start) * 1e3:.6f}", flush=True)


if __name__ == "__main__":
    main()
