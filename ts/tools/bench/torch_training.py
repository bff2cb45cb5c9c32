"""A training step: gradients forgotten, forward, softmax loss, backward, SGD (foreach, torch's fastest of the ways that a
processor has). In 16 bits by autocast, in float16 with a GradScaler that starts at resnode's 1024 and does not grow. BatchNorm and Scale are one batch_norm; ReLU and sums are in place where torch.nn.Module's users have them so.
"""
import math

from torch_graph import Graph, compute

SCALE = 1024.0


class TrainingNet(Graph):
    def __init__(self, job, labels, torch):
        super().__init__(job, torch)
        self.torch, self.labels = torch, labels.long().to(self.device)
        update, groups = job["training"]["update"], {}
        if update["type"] != "SGD" or update["regularization_type"] != "L2":
            raise ValueError("torch-engine.py has no " + update["type"] + " with " + update["regularization_type"])
        for i, (place, value) in enumerate(zip(self.places, self.parameters)):
            self.parameters[i] = value.clone(memory_format=self.layout if value.dim() == 4 else torch.contiguous_format)
            if place["lrMult"] > 0:
                self.parameters[i].requires_grad_()
                groups.setdefault((place["lrMult"], place["decayMult"]), []).append(self.parameters[i])
        rate, decay = job["training"]["rate"], update["weight_decay"]
        self.optimizer = torch.optim.SGD(
            [{"params": params, "lr": rate * lr, "weight_decay": decay * d} for (lr, d), params in groups.items()],
            lr=rate, momentum=update["momentum"], foreach=True)
        self.kind = self.device.split(":")[0]
        self.scaler = torch.amp.GradScaler(
            self.kind, init_scale=SCALE, growth_interval=2**31 - 1, enabled=self.type == torch.float16)
        self.join_batch_norms()
        self.mark_last_reads()

    def parameter(self, index):
        return None if index is None else self.parameters[index]

    def join_batch_norms(self):
        """A Scale that alone reads a BatchNorm's output becomes the weight and bias of torch's batch_norm."""
        readers, makers, kept = self.readers(), {}, []
        for node in self.nodes:
            maker = makers.get(node["inputs"][0])
            steps = node["operation"].get("affine", [])
            if node["operation"]["kind"] == "affine" and maker and readers[node["inputs"][0]] == 1 and len(steps) == 1:
                maker["scale"], maker["outputs"] = steps[0], node["outputs"]
                continue
            if node["operation"]["kind"] == "batchNorm":
                makers[node["outputs"][0]] = node
            kept.append(node)
        self.nodes = kept

    def __call__(self, data):
        """One step. The loss as it was before the update."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.torch.autocast(self.kind, dtype=self.type, enabled=self.type != self.torch.float32):
            loss = self.forward(data)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach().reshape(1)

    def place(self, data):
        return data.to(self.device).contiguous(memory_format=self.layout)

    def skipped_updates(self):
        """Each skipped update halves the scale, which never grows."""
        return round(math.log2(SCALE / self.scaler.get_scale())) if self.scaler.is_enabled() else 0

    def forward(self, data):
        functional = self.torch.nn.functional
        readers, normalised = self.readers(), set()
        values = {self.inputs[0]: data, self.inputs[1]: self.labels}
        for node in self.nodes:
            operation, inputs = node["operation"], [values[i] for i in node["inputs"]]
            kind, x, output = operation["kind"], inputs[0], node["outputs"][0]
            if kind == "convolution":
                y = functional.conv2d(
                    x, self.parameters[operation["weights"]], self.parameter(operation["bias"]),
                    operation["stride"], operation["pad"], operation["dilation"], operation["group"])
            elif kind == "batchNorm":
                scale = node.get("scale", {"gamma": None, "beta": None})
                y = functional.batch_norm(
                    x, self.parameters[operation["mean"]], self.parameters[operation["variance"]],
                    self.parameter(scale["gamma"]), self.parameter(scale["beta"]),
                    True, 1 - operation["movingAverageFraction"], operation["eps"])
                normalised.add(output)
            elif kind == "relu":
                y = functional.relu(x, inplace=readers[node["inputs"][0]] == 1)
            elif kind == "eltwise":
                # Into a sum's own operand: batch_norm does not need its output again, a ReLU would.
                own = [k for k, i in enumerate(node["inputs"]) if i in normalised and readers[i] == 1]
                first = own[0] if own else 0
                y, other = inputs[first], inputs[1 - first]
                y = y.add_(other) if own else y + other
            elif kind == "innerProduct":
                y = functional.linear(x.flatten(1), self.parameters[operation["weights"]], self.parameter(operation["bias"]))
            elif kind == "softmaxLoss":
                y = functional.cross_entropy(x, inputs[1])
            else:
                y = compute(operation, inputs, self.torch)
            values[output] = y
            for value in node["last"]:
                del values[value]
        return values[self.outputs[0]]
