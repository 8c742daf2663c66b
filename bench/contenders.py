"""contenders: who runs in `make bench-peers`: our own code in its variants, and each rival that can
be installed here. One that cannot is named as absent with the reason, never left out in silence.

A contender is a command that prints "version", "precision" and "ready" and then runs on request
(turns.py), after it has written its output for the given input to a file.
"""
import subprocess
import sys
from pathlib import Path

import network_files as files

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / "bin" / "python"
BASIC = ["numpy", "onnx", "pyyaml"]

# rival: what pip installs. openvino-default is OpenVINO without a forced precision.
PACKAGES = {
    "onnxruntime": ["onnxruntime"],
    "openvino": ["openvino"],
    "openvino-default": ["openvino"],
    "onednn": ["onednn-cpu-gomp", "onednn-devel-cpu-gomp"],
    "ncnn": ["ncnn"],
}
TITLES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO, f32 forced",
          "openvino-default": "OpenVINO, its default", "onednn": "oneDNN, chain of primitives",
          "ncnn": "ncnn"}

# ours: title, options of net2c compile, class of precision
OURS = {
    "default": ("net2c", [], "f32"),
    "dense": ("net2c, every weight read", ["--disable-pass=skip-zeros"], "f32"),
    "bf16w": ("net2c, bf16 weights", ["--precision=bf16w"], "bf16 weights"),
}


class Absent(Exception):
    """Why a contender does not take part."""


def pip_install(packages):
    made = subprocess.run([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                           *packages], capture_output=True, text=True)
    lines = made.stderr.strip().split("\n")
    return "" if made.returncode == 0 else lines[-1]


def make_environment():
    """bench/.venv with what the exporters need."""
    if (VENV / "basic").exists():
        return
    print(f"installing {' '.join(BASIC)} into bench/.venv", file=sys.stderr)
    made = subprocess.run([sys.executable, "-m", "venv", VENV]).returncode == 0
    if not made or pip_install(BASIC):
        sys.exit("peers.py: could not make bench/.venv (Debian: apt-get install python3-venv)")
    (VENV / "basic").touch()


def install(rival):
    """Tried again each time until it succeeds."""
    for package in PACKAGES[rival]:
        mark = VENV / f"has-{package}"
        if mark.exists():
            continue
        print(f"installing {package} into bench/.venv", file=sys.stderr)
        reason = pip_install([package])
        if reason:
            raise Absent(f"cannot install {package}: {reason}")
        mark.touch()


class Case:
    """One network, batch and number of threads, with the files that all contenders share."""

    def __init__(self, model, batch, threads):
        import network
        self.model, self.batch, self.threads = model, batch, threads
        self.path = files.ROOT / "models" / f"{model}.yaml"
        self.weights = files.seeded_weights(model)
        self.stem = files.OUT / f"{model}_b{batch}"
        self.source = files.OUT / f"{model}_b{batch}_input.f32"
        self.net = network.load(self.path, self.weights)
        if len(self.net.inputs) != 1 or len(self.net.outputs) != 1:
            raise SystemExit(f"peers.py: {model} has not just one input and one output")
        self.input_shape = next(iter(self.net.inputs.values()))

    def target(self, name):
        return files.OUT / f"{self.model}_{name}.out.f32"

    def write_input(self):
        """About as a normalised picture."""
        import numpy as np
        shape = [self.batch, *self.input_shape]
        np.random.default_rng(1).standard_normal(shape, dtype=np.float32).tofile(self.source)

    def onnx(self):
        import export_onnx
        path = self.stem.with_suffix(".onnx")
        if not files.fresh(path, self.weights, HERE / "export_onnx.py"):
            export_onnx.build(self.net, self.batch, path)
        return path

    def folded(self):
        """A copy of the network with its steps folded."""
        import network
        return network.folded(network.load(self.path, self.weights))


def ours(case, variant, compiler):
    """Command of our own code."""
    options = list(OURS[variant][1])
    suffix = "gen" if variant == "default" else variant
    if case.batch > 1:
        options.append(f"--batch=1,{case.batch}")
        suffix += f"_b{case.batch}"
    base = files.generated(case.model, *options, suffix=suffix)
    return [files.program(case.model, base, compiler), base.with_suffix(".n2w"),
            f"--input={case.source}", f"--output={case.target(f'{variant}_{compiler}')}",
            f"--batch={case.batch}", f"--threads={case.threads}"]


def on_onnx(script, *extra):
    def command(case, target):
        return [PYTHON, HERE / script, case.onnx(), str(case.threads), str(case.batch), case.source,
                target, *extra]
    return command


def ncnn(case, target):
    import export_ncnn
    stem = files.OUT / case.model
    if not files.fresh(Path(f"{stem}.param"), case.weights, HERE / "export_ncnn.py"):
        operator = export_ncnn.build(case.folded(), stem)
        if operator:
            raise Absent(f"our exporter has no {operator} for ncnn")
    shape = ",".join(map(str, case.input_shape))
    return [PYTHON, HERE / "peer_ncnn.py", stem, str(case.threads), str(case.batch), case.source,
            target, shape, next(iter(case.net.inputs)), case.folded().outputs[0]]


def onednn(case, target):
    import export_chain
    import network
    program, source = files.OUT / "peers_onednn", HERE / "peers_onednn.cpp"
    if not files.fresh(program, source):
        made = subprocess.run(["g++", "-O2", "-std=c++17", f"-I{VENV}/include", f"-I{HERE}", source,
                               f"-L{VENV}/lib", f"-Wl,-rpath,{VENV}/lib", "-ldnnl", "-o", program],
                              capture_output=True, text=True)
        if made.returncode:
            raise Absent(f"peers_onednn.cpp: {made.stderr.strip().split(chr(10))[0]}")
    stem = files.OUT / case.model
    if not files.fresh(Path(f"{stem}.chain"), case.weights, HERE / "export_chain.py"):
        operator = export_chain.build(network.fold_residuals(case.folded()), stem)
        if operator:
            raise Absent(f"our chain has no {operator}")
    return [program, stem, str(case.batch), case.source, target]


COMMANDS = {
    "onnxruntime": on_onnx("peer_ort.py"),
    "openvino": on_onnx("peer_openvino.py", "f32"),
    "openvino-default": on_onnx("peer_openvino.py", "default"),
    "ncnn": ncnn,
    "onednn": onednn,
}


def rival(case, name):
    """Command and file of the output."""
    install(name)
    target = case.target(name)
    return COMMANDS[name](case, target), target


def zero_shares(case):
    """{linear layer: share of zeros in what it reads}, by ONNX Runtime; {} without it."""
    try:
        import onnx
        import onnxruntime
    except ImportError:
        return {}
    import numpy as np
    linear = {layer.inputs[0]: layer.name for layer in case.net.layers if layer.op == "linear"}
    model = onnx.load(case.onnx())
    for name in linear:
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    path = case.stem.with_suffix(".zeros.onnx")
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = np.fromfile(case.source, np.float32).reshape([case.batch, *case.input_shape])
    values = session.run(list(linear), {session.get_inputs()[0].name: x})
    path.unlink()
    return {linear[name]: float(np.mean(value == 0)) for name, value in zip(linear, values)}
