"""The graph that prepare.ts wrote (NAME.graph.json, NAME.weights.f32), and the operations that inference and training share."""
import json
import os

TYPES = {"float32": "float32", "tf32": "float32", "float16": "float16", "bfloat16": "bfloat16"}


def read_floats(path, torch):
    return torch.frombuffer(bytearray(open(path, "rb").read()), dtype=torch.float32)


class Graph:
    def __init__(self, job, torch):
        path = os.path.join(job["folder"], job["net"])
        graph = json.load(open(path + ".graph.json"))
        values = read_floats(path + ".weights.f32", torch)
        self.places = graph["parameters"]
        self.device, self.type = job["device"], getattr(torch, TYPES[job["precision"]])
        self.parameters = [
            values[p["offset"] : p["offset"] + p["count"]].reshape(p["shape"]).to(self.device) for p in self.places
        ]
        self.nodes, self.inputs, self.outputs = graph["nodes"], graph["inputs"], graph["outputs"]
        self.layout = torch.channels_last if job.get("variant") == "channels_last" else torch.contiguous_format

    def readers(self):
        """How many nodes read each value."""
        counts = {}
        for node in self.nodes:
            for value in node["inputs"]:
                counts[value] = counts.get(value, 0) + 1
        return counts

    def mark_last_reads(self):
        """Notes with each node the values that nobody reads after it, so that they need not be held."""
        seen = set(self.outputs)
        for node in reversed(self.nodes):
            node["last"] = set(node["inputs"]) - seen
            seen |= node["last"]


def compute(operation, inputs, torch):
    """An operation without parameters, as a user of torch would write it."""
    functional, kind, x = torch.nn.functional, operation["kind"], inputs[0]
    if kind == "pooling" and operation["kernel"] == [1, 1]:
        height, width = operation["stride"]
        return x[:, :, ::height, ::width]
    if kind == "pooling" and operation["method"] == "max":
        return functional.max_pool2d(x, operation["kernel"], operation["stride"], operation["pad"], ceil_mode=True)
    if kind == "pooling":
        return functional.avg_pool2d(x, operation["kernel"], operation["stride"], operation["pad"])
    if kind == "power" and operation["scale"] == 0 and operation["shift"] == 0:
        return torch.zeros_like(x)
    if kind == "concat":
        return torch.cat(inputs, operation["axis"])
    if kind == "softmax":
        return torch.softmax(x, 1)
    if kind == "identity":
        return x
    raise ValueError("torch-engine.py has no " + kind)
