"""peer_openvino: OpenVINO as a program that runs on request (see yardstick.h).

usage: peer_openvino.py MODEL.onnx THREADS BATCH INPUT.f32 OUTPUT.f32 [f32|default]
f32 forces single precision; default is what OpenVINO chooses on this CPU, printed as "precision".
"""
import sys
import time

import numpy as np
import openvino


def main():
    model, threads, batch, source, target = sys.argv[1:6]
    config = {"INFERENCE_NUM_THREADS": int(threads), "NUM_STREAMS": 1,
              "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
    if sys.argv[6:] != ["default"]:
        config["INFERENCE_PRECISION_HINT"] = "f32"
    compiled = openvino.Core().compile_model(model, "CPU", config)
    precision = compiled.get_property("INFERENCE_PRECISION_HINT")
    request = compiled.create_infer_request()
    shape = [int(batch)] + list(compiled.input(0).shape)[1:]
    x = openvino.Tensor(np.fromfile(source, dtype=np.float32).reshape(shape))
    request.set_input_tensor(x)
    request.infer()
    np.array(request.get_output_tensor(0).data, np.float32).tofile(target)
    print(f"version {openvino.__version__.split('-')[0]}")
    print(f"precision {precision.get_type_name()}")
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        request.infer()
        print(f"{(time.perf_counter() - start) * 1e3:.6f}", flush=True)


if __name__ == "__main__":
    main()
