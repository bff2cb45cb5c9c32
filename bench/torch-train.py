"""The peer of bench/train-step.ts: training steps of the paper's ResNets in PyTorch on a CPU, one process a measurement.

  python torch-train.py '{"depth": 50 | 20, "batch", "threads", "runs", "layout": "nchw" | "channels_last", "compile": bool}'
    → {"answer": {"milliseconds": […], "peakBytes", "version"}, "processorMilliseconds"}

A step is what resnode's is: gradients forgotten, forward, softmax loss, backward, SGD with momentum and weight decay
(foreach, torch's fastest of the ways that a CPU has). Input and labels stay where they are.
"""
import json
import sys
import time

import torch
from torch import nn

WARM_UP = 3


class Bottleneck(nn.Module):
    """As published: a projection block has its stride on the first 1×1 convolution."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = None
        if inputs != outputs or stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.body(x)
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


class Basic(nn.Module):
    """CIFAR's, with option A: every other pixel, and zeros for the new channels."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.stride, self.added = stride, width - inputs
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.body(x)
        if self.added or self.stride > 1:
            x = nn.functional.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.added))
        y += x
        return self.relu(y)


def resnet50():
    layers = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True)]
    inputs = 64
    for stage, count in enumerate([3, 4, 6, 3]):
        for block in range(count):
            layers.append(Bottleneck(inputs, 64 << stage, 2 if block == 0 and stage > 0 else 1))
            inputs = 256 << stage
    return nn.Sequential(*layers, nn.AvgPool2d(7), nn.Flatten(), nn.Linear(2048, 1000)), 224, 1000


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    inputs = 16
    for stage in range(3):
        for block in range(3):
            layers.append(Basic(inputs, 16 << stage, 2 if block == 0 and stage > 0 else 1))
            inputs = 16 << stage
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10)), 32, 10


def peak_bytes():
    # Not getrusage's ru_maxrss: Linux hands that from parent to child across exec.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main():
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    torch.manual_seed(1)
    model, size, classes = {50: resnet50, 20: resnet20}[job["depth"]]()
    images, labels = torch.randn(job["batch"], 3, size, size), torch.randint(0, classes, (job["batch"],))
    if job["layout"] == "channels_last":
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, foreach=True)
    loss = nn.CrossEntropyLoss()
    forward = torch.compile(model) if job["compile"] else model
    milliseconds = []
    for run in range(WARM_UP + job["runs"]):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss(forward(images), labels).backward()
        optimizer.step()
        milliseconds.append(1000 * (time.perf_counter() - start))
    answer = {"milliseconds": milliseconds[WARM_UP:], "peakBytes": peak_bytes(), "version": torch.__version__}
    print(json.dumps({"answer": answer, "processorMilliseconds": 1000 * time.process_time()}))


main()
