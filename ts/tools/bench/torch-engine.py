"""A net in PyTorch on the processor or a GPU, for comparison: python torch-engine.py JOB. JOB and answer as job.ts has them.

In channels_last or the plain layout, whichever the job names; forward (torch_inference.py) or a training step
(torch_training.py) of the files that prepare.ts wrote.
"""
import contextlib
import json
import math
import os
import resource
import sys
import time

sys.dont_write_bytecode = True  # Beside an installed package nothing is written.

from torch_graph import read_floats
from torch_inference import InferenceNet
from torch_training import TrainingNet


def peak_bytes():
    # Not getrusage's ru_maxrss: Linux hands that from parent to child across exec.
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def finite(values):
    """JSON has no word for what is no number: None."""
    return [value if math.isfinite(value) else None for value in values]


def main():
    job = json.loads(sys.argv[1])
    start = time.perf_counter()
    import torch

    torch.set_num_threads(job["threads"])
    if job["what"] == "version":
        print(json.dumps({"answer": {"version": torch.__version__}, "processorMilliseconds": 0}))
        return
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = job["precision"] != "float32"
    path = os.path.join(job["folder"], "%s-%d" % (job["net"], job["batch"]))
    data = read_floats(path + ".f32", torch).reshape([job["batch"]] + job["input"])
    trains = job["training"] is not None
    with contextlib.nullcontext() if trains else torch.inference_mode():
        net = TrainingNet(job, read_floats(path + ".labels.f32", torch), torch) if trains else InferenceNet(job, torch)
        data = net.place(data)

        def run():
            return net(data).cpu()  # The result, in this process's memory.

        loaded = time.perf_counter()
        output = run()
        first = time.perf_counter()
        outputs = [output] + [run() for _ in range(job["steps"] - 1)]
        if job["what"] == "firstAnswer":
            answer = {
                "loadMilliseconds": 1e3 * (loaded - start),
                "milliseconds": 1e3 * (first - start),
                "peakBytes": peak_bytes(),
                "output": finite((torch.cat(outputs) if trains else output).flatten().tolist()),
                "versions": {"torch": torch.__version__},
                **({"skippedUpdates": net.skipped_updates()} if trains else {}),
            }
        else:
            times = []
            for _ in range(job["runs"]):
                begin = time.perf_counter()
                run()
                times.append(1e3 * (time.perf_counter() - begin))
            answer = {"milliseconds": times, "eventLoop": None}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"answer": answer, "processorMilliseconds": 1e3 * (usage.ru_utime + usage.ru_stime)}))


if __name__ == "__main__":
    main()
