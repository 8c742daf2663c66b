"""peer_ncnn: ncnn as a program that runs on request (see yardstick.h).

usage: peer_ncnn.py STEM THREADS BATCH INPUT.f32 OUTPUT.f32 C,H,W INPUT_NAME OUTPUT_NAME
ncnn has no batch: items run one after another. Single precision throughout, Winograd and packed
layouts on.
"""
import sys
import time

import ncnn
import numpy as np


def open_net(stem, threads):
    net = ncnn.Net()
    net.opt.num_threads = int(threads)
    net.opt.lightmode = True
    net.opt.use_winograd_convolution = True
    net.opt.use_sgemm_convolution = True
    net.opt.use_packing_layout = True
    net.opt.use_vulkan_compute = False
    for half in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, half, False)
    if net.load_param(f"{stem}.param") != 0 or net.load_model(f"{stem}.bin") != 0:
        raise SystemExit(f"peer_ncnn.py: cannot load {stem}")
    return net


def main():
    stem, threads, batch, source, target, shape, entry, exit_name = sys.argv[1:]
    net = open_net(stem, threads)
    dims = [int(batch)] + [int(n) for n in shape.split(",")]
    items = [ncnn.Mat(x).clone()          # a Mat does not keep its array alive
             for x in np.fromfile(source, dtype=np.float32).reshape(dims)]

    def run():
        results = []
        for item in items:
            extractor = net.create_extractor()
            extractor.input(entry, item)
            results.append(extractor.extract(exit_name)[1])
        return results

    np.concatenate([np.array(y, np.float32).reshape(-1) for y in run()]).tofile(target)
    print(f"version {ncnn.__version__}")
    print("precision f32")
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(f"{(time.perf_counter() - start) * 1e3:.6f}", flush=True)


if __name__ == "__main__":
    main()
