"""Writes an ONNX net in int8: python onnx_quantize.py JOB, a JSON object with `net`, `input`, `shape` and `out`.

BatchNormalization is merged first. Activations are unsigned, with ranges measured on the input; weights have a scale for each
output channel. The format is QDQ, as ONNX Runtime recommends for processors.
"""
import json
import os
import sys

import numpy
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class OneInput(CalibrationDataReader):
    def __init__(self, name, values):
        self.inputs = iter([{name: values}])

    def get_next(self):
        return next(self.inputs, None)


def main():
    job = json.loads(sys.argv[1])
    merged = job["out"] + ".merged.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = merged
    session = onnxruntime.InferenceSession(job["net"], options, providers=["CPUExecutionProvider"])
    values = numpy.fromfile(job["input"], numpy.float32).reshape(job["shape"])
    quantize_static(
        merged,
        job["out"],
        OneInput(session.get_inputs()[0].name, values),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    os.remove(merged)


main()
