#!/usr/bin/env python3
# tests/learning/resnet_reference.py
# SPDX-License-Identifier: Apache-2.0
"""Prints the numbers that resnet_test.cc compares with, computed by torchvision, which shares no code with ours.

    pip install torch==2.13.0 numpy && pip install --no-deps torchvision==0.28.0
    python tests/learning/resnet_reference.py

Recipe of the made-up weights: u = (word >> 8) / 2^24 of word e % 4 of Philox(2024, (e / 4, t, 0, 0)) for element e of
the t-th tensor in ascending order of our names (torchvision's without the counters, fc renamed to head; 1000 classes);
then by kind of tensor as in made_up(). Pictures: x[e] = 4 u - 2 with u from Philox(7, (e / 4, 0, 0, 1)), e over
[N, 3, H, W].

Printed for each network: logits of picture 0 in float64, in evaluation (three sizes), with batch statistics (two
pictures) together with a few running statistics afterwards, with group norm of 8 channels a group, and with that
after standardised weights.
"""

import math

import numpy as np
import torch

NETWORKS = ("resnet18", "resnet50", "resnext50_32x4d")
SHOWN = (0, 1, 2, 3, 500, 999)
STATISTICS = ("bn1.running_mean", "layer1.0.bn1.running_var", "layer3.0.downsample.1.running_var",
              "layer4.1.bn2.running_mean")


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
    """The tensor of the recipe, rounded to float32, as float64."""
    u = units(2024, math.prod(shape), (index, 0, 0)).reshape(shape)
    if name == "head.weight":
        value = (2 * u - 1) / math.sqrt(shape[1])
    elif name == "head.bias":
        value = 2 * u - 1
    elif len(shape) == 4:
        value = math.sqrt(6 / math.prod(shape[1:])) * (2 * u - 1)
    elif name.endswith(".weight"):
        value = 0.75 + 0.5 * u
    elif name.endswith("running_var"):
        value = 2 + 4 * u  # Large enough for sums over many blocks to stay near 1.
    else:  # shifts, running means
        value = u - 0.5
    return torch.from_numpy(value.astype(np.float32)).double()


def pictures(count, height, width):
    u = units(7, count * 3 * height * width, (0, 0, 1)).reshape(count, 3, height, width)
    return torch.from_numpy((4 * u - 2).astype(np.float32)).double()


def fill(model):
    """Gives the network the recipe's tensors; returns it as float64."""
    state = model.double().state_dict()
    ours = {name.replace("fc.", "head."): name for name in state if not name.endswith("num_batches_tracked")}
    for index, name in enumerate(sorted(ours)):
        state[ours[name]] = made_up(name, tuple(state[ours[name]].shape), index)
    model.load_state_dict(state)
    return model


def standardise(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            w = module.weight.data
            mean = w.mean((1, 2, 3), keepdim=True)
            variance = w.var((1, 2, 3), keepdim=True, unbiased=False)
            module.weight.data = (w - mean) / (variance + 1e-10).sqrt()
    return model


def show(title, model, count, height, width):
    with torch.no_grad():
        logits = model(pictures(count, height, width))[0]
    numbers = ", ".join(f"{logits[i]:.6f}" for i in SHOWN)
    print(f"{title} {count}x{height}x{width}: {{{numbers}}}, largest {int(logits.argmax())}, "
          f"rms {logits.square().mean().sqrt():.3f}", flush=True)


def import_torchvision():
    try:
        import torchvision
    except RuntimeError:  # Without its compiled part it wants these operators declared; the networks need neither.
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision


def main():
    torchvision = import_torchvision()

    def group_norm(channels):
        return torch.nn.GroupNorm(channels // 8, channels)

    for name in NETWORKS:
        make = getattr(torchvision.models, name)
        model = fill(make()).eval()
        print(name, "parameters", sum(p.numel() for p in model.parameters()))
        for height, width in ((224, 224), (128, 128), (96, 131)):
            show("running", model, 1, height, width)
        show("batch", model.train(), 2, 64, 64)
        state = model.state_dict()
        print("  after it:", ", ".join(f"{key}[5] {float(state[key][5]):.7f}" for key in STATISTICS))
        show("group", fill(make(norm_layer=group_norm)), 1, 96, 96)
        show("group_ws", standardise(fill(make(norm_layer=group_norm))), 1, 96, 96)


if __name__ == "__main__":
    main()
