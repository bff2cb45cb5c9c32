"""A net forward in the precision that the job names: eager, inference mode, BatchNorm folded into the convolutions as a user would with torch.nn.utils.fusion."""
from torch_graph import Graph, compute


class InferenceNet(Graph):
    def __init__(self, job, torch):
        super().__init__(job, torch)
        self.torch = torch
        self.fold()
        self.mark_last_reads()

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
        readers = self.readers()
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
            if operation["kind"] == "innerProduct":
                node["weights"] = self.parameters[operation["weights"]].to(self.type)
                node["bias"] = None if operation["bias"] is None else self.parameters[operation["bias"]].to(self.type)
            if operation["kind"] != "convolution":
                continue
            weights = self.parameters[operation["weights"]].double()
            bias = 0.0 if operation["bias"] is None else self.parameters[operation["bias"]].double()
            scale, shift = self.affine(operation["affine"])
            if operation["affine"]:
                weights, bias = weights * scale.reshape(-1, 1, 1, 1), bias * scale + shift
            node["weights"] = weights.to(self.type).contiguous(memory_format=self.layout)
            node["bias"] = bias.to(self.type) if hasattr(bias, "to") else None
        self.nodes = kept

    def place(self, data):
        return data.to(self.device, self.type).contiguous(memory_format=self.layout)

    def __call__(self, data):
        functional = self.torch.nn.functional
        values = {self.inputs[0]: data}
        for node in self.nodes:
            operation, inputs = node["operation"], [values[i] for i in node["inputs"]]
            kind, x = operation["kind"], inputs[0]
            if kind == "convolution":
                y = functional.conv2d(x, node["weights"], node["bias"], operation["stride"], operation["pad"], operation["dilation"], operation["group"])
            elif kind == "affine":
                scale, shift = self.affine(operation["affine"])
                y = x * scale.to(self.type).reshape(-1, 1, 1) + shift.to(self.type).reshape(-1, 1, 1)
            elif kind == "relu":
                y = functional.relu(x)
            elif kind == "eltwise":
                y = inputs[0] + inputs[1]
            elif kind == "innerProduct":
                y = functional.linear(x.flatten(1), node["weights"], node["bias"])
            else:
                y = compute(operation, inputs, self.torch)
            values[node["outputs"][0]] = y
            for value in node["last"]:
                del values[value]
        return values[self.outputs[0]].float()
