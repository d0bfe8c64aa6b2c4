"""Runs the cases of the benchmark in PyTorch: one request a line on stdin, one answer a line on stdout, both JSON.

Requests have an `id`, which the answer repeats, and a `command`:
  hello                                  -> version of PyTorch, name of its BLAS
  prepare (job)                          -> handle, or unsupported: true
  check   (handle, path)                 -> names and lengths; the values are written to path as float32
  reference (job, path)                  -> the same in double precision
  time    (handle, repetitions, inner)   -> milliseconds of one call for each repetition, minor page faults
  drop    (handle)
  onnx    (job, path)                    -> writes the network in evaluation mode as an ONNX model
An answer with `error` says what went wrong. A job describes itself fully, see drivers/torch.ts.
"""

import ctypes
import json
import os
import re
import resource
import sys
import time
import traceback
import warnings

import numpy
import torch
from torch import nn
from torch.nn import functional


class Blas:
    """The library behind PyTorch's matrix products, and its threads, which torch.set_num_threads does not reach."""

    def __init__(self):
        with open("/proc/self/maps", encoding="utf8") as file:
            paths = sorted(set(re.findall(r"/\S*blas\S*", file.read())))
        self.set_openblas_threads = None
        self.name = "reference BLAS" if paths else "unknown"
        if torch.backends.mkl.is_available():
            self.name = "MKL"
        for path in paths:
            library = ctypes.CDLL(path)
            if hasattr(library, "openblas_set_num_threads"):
                library.openblas_get_config.restype = ctypes.c_char_p
                self.name = " ".join(library.openblas_get_config().decode().split()[:2])
                self.set_openblas_threads = library.openblas_set_num_threads

    def set_threads(self, count):
        if self.set_openblas_threads is not None:
            self.set_openblas_threads(count)


class Residual(nn.Module):
    """body(x) + shortcut(x); an empty shortcut is the identity."""

    def __init__(self, body, shortcut):
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class Branches(nn.Module):
    """Outputs of all branches, joined along the channels."""

    def __init__(self, branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class FrozenBatchNorm1d(nn.BatchNorm1d):
    """Stays in evaluation mode."""

    def train(self, mode=True):
        return super().train(False)


def build_layer(layer, is_first):
    kind = layer["type"]
    if kind == "conv":
        return nn.Conv2d(layer["in"], layer["out"], layer["kernel"], layer["stride"], layer["padding"],
                         groups=layer["groups"], bias=layer["bias"])
    if kind == "batchNorm":
        if layer["rank"] == 4:
            return nn.BatchNorm2d(layer["channels"])
        return (FrozenBatchNorm1d if layer["frozen"] else nn.BatchNorm1d)(layer["channels"])
    if kind == "linear":
        return nn.Linear(layer["in"], layer["out"])
    # In place wherever that leaves the caller's input alone: the faster form.
    if kind == "relu":
        return nn.ReLU(inplace=not is_first)
    if kind == "relu6":
        return nn.ReLU6(inplace=not is_first)
    if kind == "sigmoid":
        return nn.Sigmoid()
    if kind == "maxPool":
        return nn.MaxPool2d(layer["kernel"], layer["stride"], layer["padding"], ceil_mode=layer["ceil"])
    if kind == "avgPool":
        return nn.AvgPool2d(layer["kernel"])
    if kind == "globalAvgPool":
        return nn.AdaptiveAvgPool2d(1)
    if kind == "flatten":
        return nn.Flatten()
    if kind == "dropout":
        return nn.Dropout(layer["p"])
    if kind == "residual":
        return Residual(build(layer["body"], False), build(layer["shortcut"], False))
    if kind == "branches":
        return Branches([build(branch, True) for branch in layer["branches"]])
    raise ValueError(f"unknown layer {kind}")


def build(layers, is_start=True):
    return nn.Sequential(*(build_layer(layer, is_start and i == 0) for i, layer in enumerate(layers)))


class Data:
    """The arrays of a case, read from its file in the order in which they were written."""

    def __init__(self, job, dtype):
        self.position = 0
        self.raw = numpy.memmap(job["file"], dtype=numpy.uint8, mode="r")
        shape = job["input"]
        self.inputs = [self.take(shape).to(dtype) for _ in range(2 if job["kind"] == "add" else 1)]
        self.gradient = self.take(job["outputShape"]).to(dtype)
        self.target = self.take([job["outputShape"][0]], numpy.int32).long()
        self.state = {path: self.take(shape).to(dtype) for path, shape in job["state"]}

    def take(self, shape, dtype=numpy.float32):
        count = int(numpy.prod(shape))
        begin = self.position
        self.position += 4 * count
        values = self.raw[begin:self.position].view(dtype).reshape(shape)
        return torch.from_numpy(numpy.array(values))


def set_dropout(model, active):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train(active)


def contiguous(tensor):
    return tensor.detach().contiguous().to(torch.float32)


class Run:
    """One job, ready to be called. `call` is what is timed."""

    def __init__(self, job, dtype=torch.float32):
        self.job = job
        self.form = job["form"]
        self.data = Data(job, dtype)
        self.kind = job["kind"]
        self.step = job["pass"] == "step"
        self.backward = job["pass"].startswith("forward+backward")
        self.records = self.step or self.backward or job["pass"] == "record"
        self.inputs = self.data.inputs
        self.model = None
        self.dtype = dtype
        if self.kind == "network":
            self.model = build(job["layers"]).to(dtype)
            missing = self.model.load_state_dict(self.data.state, strict=False).missing_keys
            if any(not key.endswith("num_batches_tracked") for key in missing):
                raise ValueError(f"no values for {missing}")
            self.data.state.clear()  # copied; the largest network has half a gigabyte of it
            self.model.train(job["training"] and self.form != "frozen")
            self.model.requires_grad_(self.records)
        self.lay_out()
        self.wanted = []
        if self.backward or job["pass"] == "record":
            if job["pass"] != "forward+backward (weights)":
                for x in self.inputs:
                    x.requires_grad_(True)
                self.wanted += self.inputs
            if self.model is not None:
                self.wanted += list(self.model.parameters())
        if self.step:
            self.optimizer = torch.optim.SGD(self.model.parameters(), **job["optimizer"])
        self.call = self.choose_call()

    def lay_out(self):
        if self.form == "channels_last":
            self.inputs = [x.contiguous(memory_format=torch.channels_last) for x in self.inputs]
            if self.model is not None:
                self.model.to(memory_format=torch.channels_last)
        elif self.form == "frozen":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                traced = torch.jit.freeze(torch.jit.trace(self.model, self.inputs[0]))
                self.model = torch.jit.optimize_for_inference(traced)

    def gradient_for(self, output):
        """The incoming gradient in the layout of the output, as a layer after this one would give it."""
        gradient = self.data.gradient
        if output.dim() == 4 and output.is_contiguous(memory_format=torch.channels_last) and not output.is_contiguous():
            return gradient.contiguous(memory_format=torch.channels_last)
        return gradient

    def forward(self):
        if self.kind == "add":
            return self.inputs[0] + self.inputs[1]
        if self.kind == "crossEntropy":
            return functional.cross_entropy(self.inputs[0], self.data.target)
        return self.model(self.inputs[0])

    def choose_call(self):
        if self.step:
            return self.training_step
        if not self.backward:
            if self.kind == "network":
                model, x = self.model, self.inputs[0]
                return lambda: model(x)
            return self.forward
        if self.kind == "crossEntropy":
            return lambda: torch.autograd.grad(self.forward(), self.wanted)
        with torch.no_grad():
            gradient = self.gradient_for(self.forward())
        return lambda: torch.autograd.grad(self.forward(), self.wanted, gradient)

    def training_step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(self.model(self.inputs[0]), self.data.target)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def guard(self):
        return torch.enable_grad() if self.records else torch.inference_mode()

    def names(self):
        weights = [] if self.model is None else [name for name, _ in self.model.named_parameters()]
        inputs = [] if "(weights)" in self.job["pass"] else [f"input {i}" for i in range(len(self.inputs))]
        return inputs + weights

    def check(self):
        """All results by name."""
        if self.step:
            return self.check_step()
        with self.guard():
            output = self.forward()
            results = {"output": output}
            if self.backward:
                gradient = None if self.kind == "crossEntropy" else self.gradient_for(output)
                gradients = torch.autograd.grad(output, self.wanted, gradient)
                for name, value in zip(self.names(), gradients):
                    results[f"gradient of {name}"] = value
        return results

    def check_step(self):
        set_dropout(self.model, False)
        before = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        results = {"loss": torch.tensor([self.training_step()], dtype=self.dtype)}
        for name, p in self.model.named_parameters():
            results[f"gradient of {name}"] = p.grad
        results["loss of the second step"] = torch.tensor([self.training_step()], dtype=self.dtype)
        for name, p in self.model.named_parameters():
            results[f"update of {name}"] = p.detach() - before[name]
        set_dropout(self.model, True)
        return results

    def time(self, repetitions, inner):
        call = self.call
        clock = time.perf_counter_ns
        times = []
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        with self.guard():
            for _ in range(repetitions):
                start = clock()
                for _ in range(inner):
                    call()
                times.append((clock() - start) / inner / 1e6)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        return times, faults


def supports(job):
    """Whether a form of running makes sense for a job."""
    if job["form"] == "channels_last":
        return len(job["input"]) == 4
    if job["form"] == "frozen":
        needs_training = job["training"] and any(layer["type"] in ("batchNorm", "dropout") for layer in job["layers"])
        return job["pass"] == "forward" and job["kind"] == "network" and not needs_training
    return True


def write_results(results, path, dtype):
    listing = []
    with open(path, "wb") as file:
        for name, value in results.items():
            values = value.detach().contiguous().to(dtype).cpu().numpy().ravel()
            file.write(values.tobytes())
            listing.append([name, int(values.size)])
    return {"values": listing}


def export_onnx(job, path):
    run = Run({**job, "form": "nchw", "pass": "forward"})
    run.model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(run.model, run.inputs[0], path, input_names=["x"], output_names=["y"], opset_version=13)


class Worker:
    def __init__(self):
        self.runs = {}
        self.next_handle = 0
        try:
            self.blas = Blas()
        except OSError:  # no /proc
            self.blas = None

    def answer(self, request):
        command = request["command"]
        if "threads" in request:
            torch.set_num_threads(request["threads"])
            if self.blas is not None:
                self.blas.set_threads(request["threads"])
        if command == "hello":
            return {"torch": torch.__version__, "blas": "unknown" if self.blas is None else self.blas.name}
        if command == "prepare":
            if not supports(request["job"]):
                return {"unsupported": True}
            self.next_handle += 1
            self.runs[self.next_handle] = Run(request["job"])
            return {"handle": self.next_handle}
        if command == "check":
            return write_results(self.runs[request["handle"]].check(), request["path"], torch.float32)
        if command == "reference":
            return write_results(Run(request["job"], torch.float64).check(), request["path"], torch.float64)
        if command == "time":
            times, faults = self.runs[request["handle"]].time(request["repetitions"], request["inner"])
            return {"ms": times, "pageFaults": faults}
        if command == "drop":
            del self.runs[request["handle"]]
            return {}
        if command == "onnx":
            export_onnx(request["job"], request["path"])
            return {}
        raise ValueError(f"unknown command {command}")


def main():
    # Answers have the real standard output to themselves: whatever else prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = worker.answer(request)
        except Exception as error:  # the other side reports it beside the row
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps({"id": request["id"], **answer}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
