"""The peer of bench/gpu.ts: MSRA's ResNets in PyTorch on the same weights. Reads requests and answers, one line of JSON each.

  {"do": "load", "folder", "depth", "batch", "precision", "variant": "amp" | "compile"}  → {"seconds", "output": file}
  {"do": "train", … the same}  → the same; the output is the first losses, and latency and throughput are of steps
  {"do": "latency" | "throughput", "runs"}  → {"milliseconds": […]}, one a run; throughput: one number for all of them
  {"do": "ceilings"}  → {"float16 TFLOP/s", …, "bandwidth GB/s"}

amp: channels_last, eager, cuDNN's own benchmark on, autocast where the precision is a half one.
compile: the model cast to the precision, channels_last, torch.compile(mode="max-autotune") with inductor's freezing,
which folds BatchNorm into the convolutions as resnode does.
Of training, amp: the same with GradScaler at float16 and the fused SGD; compile: forward and backward under autocast
through torch.compile, too.
"""
import gc
import json
import os
import statistics
import sys
import time

import torch
import torch._dynamo
import torch._inductor.config
from torch import nn

BLOCKS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
RATE, COMPARED_STEPS = 1e-6, 5  # bench/gpu/case.ts has the same
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
    def __init__(self):
        self.call = self.once = None

    def read_net(self, folder, depth, precision):
        self.call = self.once = self.data = None
        torch._dynamo.reset()
        gc.collect()
        torch.cuda.empty_cache()
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

    def train(self, folder, depth, batch, precision, variant):
        start = time.perf_counter()
        layout, element = torch.channels_last, TYPES[precision]
        net = self.read_net(folder, depth, precision).train().cuda().to(memory_format=layout)
        data = read(os.path.join(folder, f"input{batch}.f32")).reshape(batch, 3, 224, 224).cuda().contiguous(memory_format=layout)
        labels = read(os.path.join(folder, f"labels{batch}.f32")).long().cuda()
        optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4, fused=True)
        scaler = torch.amp.GradScaler("cuda", enabled=element == torch.float16)

        def loss_of(x):
            with torch.autocast("cuda", dtype=element, enabled=element != torch.float32):
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
        path = os.path.join(folder, "torch.f32")
        losses.float().cpu().numpy().tofile(path)
        return {"seconds": time.perf_counter() - start, "output": path}

    def load(self, folder, depth, batch, precision, variant):
        start = time.perf_counter()
        net = self.read_net(folder, depth, precision).eval()
        element = TYPES[precision]
        data = read(os.path.join(folder, f"input{batch}.f32")).reshape(batch, 3, 224, 224)
        layout = torch.channels_last
        is_half = element != torch.float32
        if variant == "amp":
            net = net.cuda().to(memory_format=layout)
            self.data = data.cuda().contiguous(memory_format=layout)

            def call(x):
                with torch.autocast("cuda", dtype=element, enabled=is_half):
                    return net(x)

        else:
            torch._inductor.config.freezing = True
            net = net.cuda().to(dtype=element, memory_format=layout)
            self.data = data.cuda().to(element).contiguous(memory_format=layout)
            call = torch.compile(net, mode="max-autotune", fullgraph=True)
        self.call, self.once = call, self.run_once
        for _ in range(5):
            output = self.once()
        torch.cuda.synchronize()
        path = os.path.join(folder, "torch.f32")
        output.float().cpu().contiguous().numpy().tofile(path)
        return {"seconds": time.perf_counter() - start, "output": path}

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
        torch.cuda.synchronize()
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
    answers = os.fdopen(os.dup(1), "w")  # what libraries print must not be read as answers
    os.dup2(2, 1)
    peer = Peer()
    if not torch.cuda.is_available():
        answers.write(json.dumps({"error": "torch sees no CUDA device"}) + "\n")
        return
    answers.write(json.dumps({"torch": torch.__version__, "device": torch.cuda.get_device_name()}) + "\n")
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(peer, request.pop("do"))(**request)
        except Exception as error:  # the next request may still do
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
