#!/usr/bin/env python3
"""drop-relu: a relu of what is never negative goes; its readers read its input.

    sigmoid (x) -> a; maxpool (a) -> b; relu (b) -> c; conv (c) -> d
    =>  sigmoid (x) -> a; maxpool (a) -> b; conv (b) -> d

A graph pass from outside: net2c opt MODEL --pass-cmd=./drop_relu.py --pass-cmd-after=graph-dce
needs:  PyYAML, Debian's python3-yaml.
keeps:  a relu that makes an output of the network: callers know its name. One with a label.
"""
import sys

import yaml

NEVER_NEGATIVE = {"relu", "relu6", "sigmoid", "softmax"}
KEEPS_SIGN = {"maxpool", "avgpool", "flatten", "identity", "add", "mul", "concat"}
LABELS = {"group", "layout", "algo", "store", "schedule"}


def drop_relu(graph):
    positive = set()                   # tensors without negative elements
    instead = {}                       # tensor -> the one that its readers read now
    kept = []
    for layer in graph["network"]:
        (operator, of), = layer.items()
        inputs = of["from"] = [instead.get(t, t) for t in of.get("from", [])]
        safe = bool(inputs) and positive.issuperset(inputs)
        if operator == "relu" and safe and not (LABELS & set(of) or of["name"] in graph["outputs"]):
            instead[of["name"]] = inputs[0]
            continue
        if operator in NEVER_NEGATIVE or operator in KEEPS_SIGN and safe:
            positive.add(of["name"])
        kept.append(layer)
    graph["network"] = kept


model = yaml.safe_load(sys.stdin)
drop_relu(model)
yaml.safe_dump(model, sys.stdout, sort_keys=False, allow_unicode=True)
