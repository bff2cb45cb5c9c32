"""A net in PyTorch on the CPU, for comparison: python torch-engine.py JOB. JOB and answer as job.ts has them.

Reads NAME.graph.json and NAME.weights.f32 (prepare.ts). Eager, inference mode, BatchNorm folded into the convolutions
as a user would with torch.nn.utils.fusion, in channels_last or the plain layout, whichever the job names.
"""
import json
import os
import resource
import sys
import time


def read(path, torch):
    return torch.frombuffer(bytearray(open(path, "rb").read()), dtype=torch.float32)


class Net:
    def __init__(self, job, torch):
        self.torch = torch
        path = os.path.join(job["folder"], job["net"])
        graph = json.load(open(path + ".graph.json"))
        values = read(path + ".weights.f32", torch)
        self.parameters = [values[p["offset"] : p["offset"] + p["count"]].reshape(p["shape"]) for p in graph["parameters"]]
        self.nodes, self.inputs, self.outputs = graph["nodes"], graph["inputs"], graph["outputs"]
        self.layout = torch.channels_last if job.get("variant") == "channels_last" else torch.contiguous_format
        self.fold()

    def affine(self, steps):
        """Scale and shift of a chain of BatchNorm and Scale, in float64."""
        scale, shift = 1.0, 0.0
        for step in steps:
            if step["kind"] == "batchNorm":
                mean, variance, factor = (self.parameters[step[key]].double() for key in ("mean", "variance", "factor"))
                inverse = 0.0 if factor[0] == 0 else 1 / factor[0]
                a = (variance * inverse + step["eps"]).rsqrt()
                b = -mean * inverse * a
            else:
                a = 1.0 if step["gamma"] is None else self.parameters[step["gamma"]].double()
                b = 0.0 if step["beta"] is None else self.parameters[step["beta"]].double()
            scale, shift = scale * a, shift * a + b
        return scale, shift

    def fold(self):
        """An affine node whose input is a convolution's and nobody else's becomes a part of the convolution."""
        readers = {}
        for node in self.nodes:
            for value in node["inputs"]:
                readers[value] = readers.get(value, 0) + 1
        makers, kept = {}, []
        for node in self.nodes:
            operation = node["operation"]
            maker = makers.get(node["inputs"][0]) if node["inputs"] else None
            if operation["kind"] == "affine" and maker and readers[node["inputs"][0]] == 1:
                maker["operation"]["affine"] = maker["operation"]["affine"] + operation["affine"]
                maker["outputs"] = node["outputs"]
                makers[node["outputs"][0]] = maker
                continue
            if operation["kind"] == "convolution":
                makers[node["outputs"][0]] = node
            kept.append(node)
        for node in kept:
            operation = node["operation"]
            if operation["kind"] != "convolution":
                continue
            weights = self.parameters[operation["weights"]].double()
            bias = 0.0 if operation["bias"] is None else self.parameters[operation["bias"]].double()
            scale, shift = self.affine(operation["affine"])
            if operation["affine"]:
                weights, bias = weights * scale.reshape(-1, 1, 1, 1), bias * scale + shift
            node["weights"] = weights.float().contiguous(memory_format=self.layout)
            node["bias"] = bias.float() if hasattr(bias, "float") else None
        self.nodes = kept

    def __call__(self, data):
        functional, torch = self.torch.nn.functional, self.torch
        values = {self.inputs[0]: data}
        for node in self.nodes:
            operation, inputs = node["operation"], [values[i] for i in node["inputs"]]
            kind, x = operation["kind"], inputs[0]
            if kind == "convolution":
                y = functional.conv2d(x, node["weights"], node["bias"], operation["stride"], operation["pad"], operation["dilation"], operation["group"])
            elif kind == "affine":
                scale, shift = self.affine(operation["affine"])
                y = x * scale.float().reshape(-1, 1, 1) + shift.float().reshape(-1, 1, 1)
            elif kind == "relu":
                y = functional.relu(x)
            elif kind == "eltwise":
                y = inputs[0] + inputs[1]
            elif kind == "pooling" and operation["method"] == "max":
                y = functional.max_pool2d(x, operation["kernel"], operation["stride"], operation["pad"], ceil_mode=True)
            elif kind == "pooling":
                y = functional.avg_pool2d(x, operation["kernel"], operation["stride"], operation["pad"])
            elif kind == "innerProduct":
                bias = None if operation["bias"] is None else self.parameters[operation["bias"]]
                y = functional.linear(x.flatten(1), self.parameters[operation["weights"]], bias)
            elif kind == "softmax":
                y = torch.softmax(x, 1)
            elif kind == "identity":
                y = x
            else:
                raise ValueError("torch-engine.py has no " + kind)
            values[node["outputs"][0]] = y
        return values[self.outputs[0]]


def peak_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def main():
    job = json.loads(sys.argv[1])
    start = time.perf_counter()
    import torch

    torch.set_num_threads(job["threads"])
    if job["what"] == "version":
        print(json.dumps({"answer": {"version": torch.__version__}, "processorMilliseconds": 0}))
        return
    path = os.path.join(job["folder"], "%s-%d.f32" % (job["net"], job["batch"]))
    data = read(path, torch).reshape([job["batch"]] + job["input"])
    with torch.inference_mode():
        net = Net(job, torch)
        data = data.contiguous(memory_format=net.layout)
        loaded = time.perf_counter()
        output = net(data)
        first = time.perf_counter()
        for _ in range(3):
            net(data)
        if job["what"] == "firstAnswer":
            answer = {
                "loadMilliseconds": 1e3 * (loaded - start),
                "milliseconds": 1e3 * (first - start),
                "peakBytes": peak_bytes(),
                "output": output.flatten().tolist(),
                "versions": {"torch": torch.__version__},
            }
        else:
            times = []
            for _ in range(job["runs"]):
                begin = time.perf_counter()
                net(data)
                times.append(1e3 * (time.perf_counter() - begin))
            answer = {"milliseconds": times, "eventLoop": None}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"answer": answer, "processorMilliseconds": 1e3 * (usage.ru_utime + usage.ru_stime)}))


if __name__ == "__main__":
    main()
