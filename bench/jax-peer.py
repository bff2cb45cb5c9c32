"""MSRA's ResNets in JAX with the same weights, forward only: a peer for bench/gpu.ts. Its requests and answers are
those of torch-peer.py: load, latency and throughput.

One jitted function in the given precision, NHWC, with BatchNorm folded into the convolutions, as in resnode.
"""
import argparse
import json
import os
import sys
import time

import numpy as np

BLOCKS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
EPS = 1e-5


def read(path):
    return np.fromfile(path, np.float32)


def read_weights(folder):
    values = read(os.path.join(folder, "weights.f32"))
    return {
        entry["key"]: values[entry["offset"] : entry["offset"] + entry["count"]].reshape(entry["shape"])
        for entry in json.load(open(os.path.join(folder, "weights.json")))
    }


def folded(weights, convolution, norm):
    """Weights H×W×I×O and bias of a convolution with the BatchNorm behind it."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"].astype(np.float64) + EPS)
    bias = weights.get(f"{convolution}.bias", 0.0)
    kernel = weights[f"{convolution}.weight"] * scale[:, None, None, None]
    return kernel.transpose(2, 3, 1, 0), (bias - weights[f"{norm}.running_mean"]) * scale + weights[f"{norm}.bias"]


class Peer:
    def __init__(self, jax):
        self.jax = jax
        self.once = None

    def load(self, folder, depth, batch, precision, variant):
        jax, jnp = self.jax, self.jax.numpy
        start = time.perf_counter()
        element = {"float32": jnp.float32, "tf32": jnp.float32, "float16": jnp.float16, "bfloat16": jnp.bfloat16}[precision]
        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if precision == "tf32" else "highest" if precision == "float32" else None)
        weights = read_weights(folder)
        parameters = {"conv1": folded(weights, "conv1", "bn1"), "fc": (weights["fc.weight"].T, weights["fc.bias"])}
        for block in range(sum(BLOCKS[depth])):
            for index in range(4):
                name = f"blocks.{block}.conv{index}"
                if f"{name}.weight" in weights:
                    parameters[name] = folded(weights, name, f"blocks.{block}.bn{index}")
        parameters = jax.tree.map(lambda value: jnp.asarray(value, element), parameters)

        def convolution(given, x, name, stride=1, pad=0):
            kernel, bias = given[name]
            pads = ((pad, pad), (pad, pad))
            return jax.lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias

        def forward(given, x):
            x = jax.nn.relu(convolution(given, x, "conv1", 2, 3))
            # Caffe rounds up and does not pad here.
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (0, 1), (0, 1), (0, 0)))
            block = 0
            for stage, count in enumerate(BLOCKS[depth]):
                for at in range(count):
                    name = f"blocks.{block}.conv"
                    stride = 2 if at == 0 and stage > 0 else 1
                    shortcut = convolution(given, x, f"{name}0", stride) if at == 0 else x
                    y = jax.nn.relu(convolution(given, x, f"{name}1", stride))
                    y = jax.nn.relu(convolution(given, y, f"{name}2", 1, 1))
                    x = jax.nn.relu(shortcut + convolution(given, y, f"{name}3"))
                    block += 1
            kernel, bias = given["fc"]
            return jax.nn.softmax((x.mean((1, 2)) @ kernel + bias).astype(jnp.float32))

        data = read(os.path.join(folder, f"input{batch}.f32")).reshape(batch, 3, 224, 224).transpose(0, 2, 3, 1)
        data = jnp.asarray(data, element)
        call = jax.jit(forward)
        self.once = lambda: call(parameters, data)
        for _ in range(5):
            output = self.once()
        path = os.path.join(folder, "jax.f32")
        np.asarray(output, np.float32).tofile(path)
        return {"seconds": time.perf_counter() - start, "output": path}

    def latency(self, runs):
        """From the call to the probabilities in the process's memory."""
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            np.asarray(self.once())
            times.append(1e3 * (time.perf_counter() - start))
        return {"milliseconds": times}

    def throughput(self, runs):
        self.once().block_until_ready()
        start = time.perf_counter()
        outputs = [self.once() for _ in range(runs)]
        np.asarray(outputs[-1])
        return {"milliseconds": [1e3 * (time.perf_counter() - start) / runs]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    device = parser.parse_args().device
    answers = os.fdopen(os.dup(1), "w")  # printed output of libraries must not be read as answers
    os.dup2(2, 1)

    def answer(told):
        answers.write(json.dumps(told) + "\n")
        answers.flush()

    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # other engines are on the same GPU
    os.environ["JAX_PLATFORMS"] = device
    try:
        import jax

        answer({"jax": jax.__version__, "device": jax.devices()[0].device_kind})
    except Exception as error:
        return answer({"error": f"{type(error).__name__}: {error}".splitlines()[0]})
    peer = Peer(jax)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            told = getattr(peer, request.pop("do"))(**request)
        except Exception as error:  # the next request may still succeed
            told = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        answer(told)


if __name__ == "__main__":
    main()
