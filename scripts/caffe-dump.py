#!/usr/bin/env python
"""Runs a net in your own pycaffe and writes every layer's tops, for `resnode parity --against`.

  python caffe-dump.py deploy.prototxt net.caffemodel dump cat.jpg dog.jpg --mean 103.9,116.8,123.7
  resnode parity --model deploy.prototxt --weights net.caffemodel --against dump

Images are prepared as usual for Caffe: 0 to 255, B G R, shorter side resized (bilinear), centre crop, minus the mean. One
.npy, N x C x H x W, is used unchanged. Python 2.7 or 3, numpy, pycaffe of 2015-12 or later (images: its skimage too).
"""
from __future__ import print_function

import argparse
import json
import os
import shutil

import numpy as np

import caffe


def resize(image, height, width):
    """Bilinear between the centres of pixels, as OpenCV's INTER_LINEAR."""

    def axis(old, new):
        at = np.clip((np.arange(new) + 0.5) * old / float(new) - 0.5, 0, old - 1)
        low = at.astype(int)
        return low, np.minimum(low + 1, old - 1), (at - low).astype(np.float32)

    top, bottom, v = axis(image.shape[0], height)
    left, right, h = axis(image.shape[1], width)
    rows = image[top] * (1 - v)[:, None, None] + image[bottom] * v[:, None, None]
    return rows[:, left] * (1 - h)[None, :, None] + rows[:, right] * h[None, :, None]


def crop(image, height, width):
    """The centre of H x W x C."""
    y, x = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[y : y + height, x : x + width]


def read_mean(text, height, width):
    """B,G,R, or the centre of a mean image (.npy or .binaryproto, C x H x W), as H x W x C."""
    if text.endswith(".npy"):
        mean = np.load(text)
    elif text.endswith(".binaryproto"):
        blob = caffe.proto.caffe_pb2.BlobProto()
        with open(text, "rb") as file:
            blob.ParseFromString(file.read())
        mean = caffe.io.blobproto_to_array(blob)
    else:
        return np.array([float(value) for value in text.split(",")], np.float32)
    return crop(mean.reshape(mean.shape[-3:]).transpose(1, 2, 0), height, width)


def prepare(path, options, channels, height, width):
    """One image as C x H x W."""
    image = caffe.io.load_image(path, color=channels == 3) * 255
    if channels == 1 and image.shape[2] == 3:
        image = np.dot(image, [[0.299], [0.587], [0.114]])
    if options.shorter_side > 0:
        scale = options.shorter_side / float(min(image.shape[:2]))
        image = resize(image, *[max(options.shorter_side, int(side * scale + 0.5)) for side in image.shape[:2]])
    image = crop(image, height, width)
    image = image if options.rgb else image[:, :, ::-1]
    return ((image - read_mean(options.mean, height, width)) * options.scale).transpose(2, 0, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("weights")
    parser.add_argument("folder", help="where the dump is written")
    parser.add_argument("inputs", nargs="+", help="images, or one .npy")
    parser.add_argument("--mean", default="0", help="B,G,R, or a .npy or .binaryproto (default: 0)")
    parser.add_argument("--shorter-side", type=int, default=256, help="0: images are not resized (default: 256)")
    parser.add_argument("--rgb", action="store_true", help="the order is R G B (the mean's too)")
    parser.add_argument("--scale", type=float, default=1, help="multiplied after the mean was subtracted")
    options = parser.parse_args()

    net = caffe.Net(options.model, options.weights, caffe.TEST)
    name = net.inputs[0]
    if options.inputs[0].endswith(".npy"):
        data = np.load(options.inputs[0])
    else:
        size = tuple(net.blobs[name].data.shape[1:])
        data = np.stack([prepare(path, options, *size) for path in options.inputs])
    net.blobs[name].reshape(*data.shape)
    net.reshape()
    net.blobs[name].data[...] = data

    if not os.path.isdir(options.folder):
        os.makedirs(options.folder)

    def write(blob, file):
        values = np.ascontiguousarray(net.blobs[blob].data, "<f4")
        values.tofile(os.path.join(options.folder, file))
        # Not measured: the difference of another BLAS, for which parity allows 1e-4 of the largest value.
        noise = 5e-6 * float(np.abs(values).max() if values.size else 0)
        return {"file": file, "shape": list(values.shape), "noise": noise}

    inputs = {blob: write(blob, "input-%d.f32" % i) for i, blob in enumerate(net.inputs)}
    blobs, layers, structure = list(net.blobs), {}, []
    for i, layer in enumerate(net._layer_names):
        net._forward(i, i)  # one layer at a time, before later layers overwrite values in place
        kind = net.layers[i].type
        tops = [blobs[k] for k in net._top_ids(i)]
        structure.append({"name": layer, "type": kind, "top": tops})
        if kind != "Input" and not (kind == "Split" and layer.endswith("_split")):
            layers[layer] = [write(top, "layer-%04d-%d.f32" % (i, k)) for k, top in enumerate(tops)]
    outputs = {blob: write(blob, "output-%d.f32" % i) for i, blob in enumerate(sorted(net.outputs))}
    weights = "weights.caffemodel" + (".h5" if options.weights.endswith(".h5") else "")
    shutil.copyfile(options.model, os.path.join(options.folder, "net.prototxt"))
    shutil.copyfile(options.weights, os.path.join(options.folder, weights))
    manifest = {
        "format": "caffe-golden/1",
        "kind": "net",
        "about": "written by caffe-dump.py in Caffe %s" % getattr(caffe, "__version__", "of no known version"),
        "images": options.inputs,
        "phase": "TEST",
        "level": 0,
        "stages": [],
        "net": "net.prototxt",
        "weights": weights,
        "structure": {"inputs": list(net.inputs), "outputs": sorted(net.outputs), "layers": structure},
        "passes": [{"inputs": inputs, "blobs": outputs, "layers": layers}],
    }
    with open(os.path.join(options.folder, "manifest.json"), "w") as file:
        json.dump(manifest, file, indent=1)
    print("%s: %d layers for %d inputs" % (options.folder, len(layers), len(data)))


if __name__ == "__main__":
    main()
