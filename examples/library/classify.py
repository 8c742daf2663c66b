#!/usr/bin/env python3
"""classify: a model is compiled, loaded and run in this process; the name of the largest output of
each item.

    classify.py lenet5.yaml lenet5.safetensors images.npy fashion_labels.txt
"""
import array
import sys

import net2c


def read_images(path):
    """The floats of a .npy file, format 1."""
    with open(path, "rb") as file:
        data = file.read()
    return array.array("f", data[10 + int.from_bytes(data[8:10], "little"):])


def main():
    model, weights, images, labels = sys.argv[1:]
    try:
        result = net2c.Job(model, weights).load()
        score, = result.run(read_images(images))
    except net2c.Error as error:
        sys.exit(str(error))
    with open(labels, encoding="utf-8") as file:
        names = file.read().splitlines()
    classes = result.outputs()[0].elements
    for at in range(0, len(score), classes):
        item = score[at:at + classes]
        print(names[item.index(max(item))])


if __name__ == "__main__":
    main()
