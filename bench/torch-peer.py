"""The peer of bench/gpu.ts: MSRA's ResNets in PyTorch with the same weights. Reads requests and answers, one line of JSON each.

  {"do": "load", "folder", "depth", "batch", "precision", "variant"}  → {"seconds", "output": file}; of timm no output
  {"do": "train", … the same, "scale"}  → {"seconds", "output", "skipped", "fused"}; the output is the first losses, and
      latency and throughput are of steps
  {"do": "latency" | "throughput", "runs"}  → {"milliseconds": […]}, one a run; throughput: one number for all of them
  {"do": "skipped"}  → {"skipped": updates that the GradScaler has skipped so far}
  {"do": "ceilings"}  → {"float16 TFLOP/s", …, "bandwidth GB/s"}

--device cpu: on the processor, for tests without a GPU.

Variants of a run forward, all channels_last:
  amp      eager, cuDNN's own benchmark on, autocast where the precision is a half one
  half     the model cast to the precision, torch.compile(mode="reduce-overhead"), with inductor's freezing, which folds
           BatchNorm into the convolutions as resnode does
  compile  the same with mode="max-autotune", which compiles for minutes
  timm     timm's own resnet<depth> with its own random weights (strides on the 3×3, more arithmetic), as half
Of training, amp: autocast, GradScaler at float16 and the fused SGD; compile: forward and backward through torch.compile, too.
The scale starts at `scale` and does not grow, as resnode's does not: at torch's 65536 the first steps of these nets
overflow, and fused SGD then applies a momentum that it never initialised (unfused SGD does not). Where an update is
skipped among the compared steps all the same, the steps are begun again with unfused SGD.
"""
import argparse
import gc
import json
import math
import os
import statistics
import sys
import time

import torch
import torch._dynamo
import torch._inductor.config
from torch import nn

BLOCKS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
RATE, COMPARED_STEPS = 1e-6, 5  # as in bench/gpu/case.ts
TYPES = {"float32": torch.float32, "tf32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Bottleneck(nn.Module):
    """As published: a projection block has its stride on the first 1×1 convolution."""

    def __init__(self, inputs, width, stride, projects):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, stride, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(width), nn.BatchNorm2d(width), nn.BatchNorm2d(4 * width)
        self.conv0 = nn.Conv2d(inputs, 4 * width, 1, stride, bias=False) if projects else None
        self.bn0 = nn.BatchNorm2d(4 * width) if projects else None

    def forward(self, x):
        shortcut = x if self.conv0 is None else self.bn0(self.conv0(x))
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(shortcut + self.bn3(self.conv3(y)))


class ResNet(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=depth == 50)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)  # Caffe rounds up and does not pad here
        blocks, inputs = [], 64
        for stage, count in enumerate(BLOCKS[depth]):
            for block in range(count):
                width = 64 << stage
                blocks.append(Bottleneck(inputs, width, 2 if block == 0 and stage > 0 else 1, block == 0))
                inputs = 4 * width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(inputs, 1000)

    def scores(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.blocks(x).mean((2, 3))
        return self.fc(x).float()

    def forward(self, x):
        return torch.softmax(self.scores(x), 1)


def read(path):
    return torch.frombuffer(bytearray(open(path, "rb").read()), dtype=torch.float32)


class Peer:
    def __init__(self, device):
        self.device = device
        self.call = self.once = self.data = self.scaler = None
        self.scale = 1.0

    def read_net(self, folder, depth, precision):
        self.call = self.once = self.data = self.scaler = None
        torch._dynamo.reset()
        gc.collect()
        torch.cuda.empty_cache()  # does nothing if CUDA was never initialised
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"
        torch.backends.cudnn.benchmark = True
        net = ResNet(depth)
        values = read(os.path.join(folder, "weights.f32"))
        state = {
            entry["key"]: values[entry["offset"] : entry["offset"] + entry["count"]].reshape(entry["shape"])
            for entry in json.load(open(os.path.join(folder, "weights.json")))
        }
        told = net.load_state_dict(state, strict=False)
        missing = [key for key in told.missing_keys if not key.endswith("num_batches_tracked")]
        if missing or told.unexpected_keys:
            raise ValueError(f"the weights do not fit: {missing} missing, {told.unexpected_keys} unexpected")
        return net

    def place(self, values, batch):
        data = values.reshape(batch, 3, 224, 224).to(self.device)
        return data.contiguous(memory_format=torch.channels_last)

    def train(self, folder, depth, batch, precision, variant, scale=1024.0, fused=True):
        start = time.perf_counter()
        element = TYPES[precision]
        if variant not in ("amp", "compile"):
            raise ValueError(f"{variant} is not trained")
        data = self.place(read(os.path.join(folder, f"input{batch}.f32")), batch)
        labels = read(os.path.join(folder, f"labels{batch}.f32")).long().to(self.device)
        net = self.read_net(folder, depth, precision).train().to(self.device).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4, fused=fused)
        self.scale = scale
        self.scaler = scaler = torch.amp.GradScaler(
            self.device, init_scale=scale, growth_interval=2**31 - 1, enabled=element == torch.float16
        )

        def loss_of(x):
            with torch.autocast(self.device, dtype=element, enabled=element != torch.float32):
                return nn.functional.cross_entropy(net.scores(x), labels)

        if variant == "compile":
            torch._inductor.config.freezing = False
            loss_of = torch.compile(loss_of, fullgraph=True)

        def step():
            torch.compiler.cudagraph_mark_step_begin()
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(data)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss.detach().clone()

        self.once = step
        losses = torch.stack([step() for _ in range(COMPARED_STEPS)])
        skipped = self.skipped()["skipped"]
        if skipped > 0 and fused and scale == 1024.0:
            return self.train(folder, depth, batch, precision, variant, scale, fused=False)
        path = os.path.join(folder, "torch.f32")
        losses.float().cpu().numpy().tofile(path)
        return {"seconds": time.perf_counter() - start, "output": path, "skipped": skipped, "fused": fused}

    def skipped(self):
        """Each skipped update halves the scale, which never grows."""
        if self.scaler is None or not self.scaler.is_enabled():
            return {"skipped": 0}
        return {"skipped": round(math.log2(self.scale / self.scaler.get_scale()))}

    def load(self, folder, depth, batch, precision, variant):
        start = time.perf_counter()
        element = TYPES[precision]
        net = self.read_net(folder, depth, precision)
        if variant == "timm":
            import timm

            net = timm.create_model(f"resnet{depth}")
        net = net.eval().to(self.device).to(memory_format=torch.channels_last)
        self.data = self.place(read(os.path.join(folder, f"input{batch}.f32")), batch)
        if variant == "amp":

            def call(x):
                with torch.autocast(self.device, dtype=element, enabled=element != torch.float32):
                    return net(x)

        else:
            torch._inductor.config.freezing = True
            net, self.data = net.to(element), self.data.to(element)
            call = torch.compile(net, mode="max-autotune" if variant == "compile" else "reduce-overhead", fullgraph=True)
        self.call, self.once = call, self.run_once
        for _ in range(5):
            output = self.once()
        self.synchronise()
        answer = {"seconds": time.perf_counter() - start}
        if variant == "timm":
            # Its net differs, so nothing is compared, but results that are not finite are not timed either.
            bad = int((~torch.isfinite(output)).sum())
            return {"error": f"not timed: {bad} of its {output.numel()} values are not finite"} if bad > 0 else answer
        path = os.path.join(folder, "torch.f32")
        output.float().cpu().contiguous().numpy().tofile(path)
        return {**answer, "output": path}

    def synchronise(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def run_once(self):
        torch.compiler.cudagraph_mark_step_begin()
        with torch.no_grad():
            return self.call(self.data)

    def latency(self, runs):
        """From the call to the probabilities in the process's memory."""
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            self.once().cpu()
            times.append(1e3 * (time.perf_counter() - start))
        return {"milliseconds": times}

    def throughput(self, runs):
        self.synchronise()
        start = time.perf_counter()
        for _ in range(runs):
            output = self.once()
        output.cpu()
        return {"milliseconds": [1e3 * (time.perf_counter() - start) / runs]}

    def ceilings(self):
        """What this GPU does here: a large product of random matrices, a large copy (bytes read plus written)."""

        def seconds(work):
            times = []
            for _ in range(13):
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                begin.record()
                work()
                end.record()
                end.synchronize()
                times.append(begin.elapsed_time(end) / 1e3)
            return statistics.median(times[3:])

        found = {}
        for name, element in TYPES.items():
            torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
            a, b = (torch.randn(8192, 8192, device="cuda", dtype=element) for _ in range(2))
            out = torch.empty_like(a)
            found[f"{name} TFLOP/s"] = round(2 * 8192**3 / seconds(lambda: torch.mm(a, b, out=out)) / 1e12, 1)
        del a, b, out
        source = torch.randint(0, 255, (2**31,), device="cuda", dtype=torch.uint8)
        target = torch.empty_like(source)
        found["bandwidth GB/s"] = round(2 * source.numel() / seconds(lambda: target.copy_(source)) / 1e9)
        del source, target
        torch.cuda.empty_cache()
        return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    device = parser.parse_args().device
    answers = os.fdopen(os.dup(1), "w")  # printed output of libraries must not be read as answers
    os.dup2(2, 1)
    peer = Peer(device)
    if device == "cuda" and not torch.cuda.is_available():
        answers.write(json.dumps({"error": "torch sees no CUDA device"}) + "\n")
        return
    name = torch.cuda.get_device_name() if device == "cuda" else "the processor"
    answers.write(json.dumps({"torch": torch.__version__, "device": name}) + "\n")
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(peer, request.pop("do"))(**request)
        except Exception as error:  # the next request may still succeed
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
