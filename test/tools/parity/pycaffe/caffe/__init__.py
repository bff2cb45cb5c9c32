"""A stub of pycaffe with one net of four layers: enough to run caffe-dump.py without Caffe.

The net is stub.prototxt: double (Power), relu in place, then sum = relu + 2 * relu through Caffe's split.
"""
import struct
import zlib
from collections import OrderedDict

import numpy as np

TEST = 1
__version__ = "stub"


class Blob(object):
    def __init__(self, *shape):
        self.reshape(*shape)

    def reshape(self, *shape):
        self.data = np.zeros(shape, np.float32)


class Layer(object):
    def __init__(self, kind, tops, forward):
        self.type, self.tops, self.forward = kind, tops, forward


class Net(object):
    def __init__(self, model, weights, phase):
        assert phase == TEST and open(model).read() and open(weights, "rb").read()
        self.inputs, self.outputs = ["data"], ["sum"]
        split = ["double_relu_0_split_0", "double_relu_0_split_1"]
        self.blobs = OrderedDict((name, Blob(1, 3, 4, 5)) for name in ["data", "double"] + split + ["sum"])
        at = lambda name: self.blobs[name].data

        def put(name, values):
            self.blobs[name].data[...] = values

        def copy():
            for name in split:
                put(name, at("double"))

        steps = OrderedDict()
        steps["input"] = Layer("Input", ["data"], lambda: None)
        steps["double"] = Layer("Power", ["double"], lambda: put("double", 2 * at("data") + 1))
        steps["relu"] = Layer("ReLU", ["double"], lambda: put("double", np.maximum(at("double"), 0)))
        steps["double_relu_0_split"] = Layer("Split", split, copy)
        steps["sum"] = Layer("Eltwise", ["sum"], lambda: put("sum", at(split[0]) + 2 * at(split[1])))
        self._layer_names, self.layers = list(steps), list(steps.values())

    def reshape(self):
        for blob in self.blobs.values():
            if blob.data.shape != self.blobs["data"].data.shape:
                blob.reshape(*self.blobs["data"].data.shape)

    def _top_ids(self, i):
        return [list(self.blobs).index(name) for name in self.layers[i].tops]

    def _forward(self, start, end):
        for layer in self.layers[start : end + 1]:
            layer.forward()


class io(object):
    @staticmethod
    def load_image(path, color=True):
        """An 8-bit RGB .png without filters and interlacing, 0 to 1, as H x W x 3."""
        data, at, pixels = open(path, "rb").read(), 8, b""
        while at < len(data):
            (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
            body = data[at + 8 : at + 8 + length]
            if kind == b"IHDR":
                width, height, depth, form = struct.unpack(">IIBB", body[:10])
                assert (depth, form) == (8, 2), (depth, form)
            pixels += body if kind == b"IDAT" else b""
            at += length + 12
        rows = np.frombuffer(zlib.decompress(pixels), np.uint8).reshape(height, 1 + 3 * width)
        assert not rows[:, 0].any(), "a filter"
        return rows[:, 1:].reshape(height, width, 3).astype(np.float32) / 255
