#!/usr/bin/env python3
# tests/learning/features/detection/network_reference.py
# SPDX-License-Identifier: Apache-2.0
"""Prints the numbers that parity_test.cc compares with: maskrcnn_resnet50_fpn of torchvision 0.28.0 with made-up weights.

    pip install torch==2.13.0 numpy pillow && pip install --no-deps torchvision==0.28.0
    PYTHONPATH=FOLDER_OF_torchvision_reference.py python tests/learning/features/detection/network_reference.py

torchvision_reference.py declares torchvision's compiled operators so that its Python parts can be imported without
them; where the operators are there, `import torchvision` does as well.

Recipe of the weights, the same as in recipe_detector.h: u = (word >> 8) / 2^24 of word e % 4 of
Philox(2024, (e / 4, t, 0, 0)) for element e of the t-th tensor in ascending order of the names (without the counters
num_batches_tracked); then by the end of the name as in made_up(). Recipe of the pictures: v = 255 u with u from
Philox(7, (e / 4, 0, 0, 1 + n)), e over [3, height, width] of picture n.
"""

import math

import numpy as np
import torch

try:
    from torchvision_reference import torchvision
except ImportError:
    import torchvision

# torchvision's compiled operator (csrc/ops/cpu/roi_align_common.h) counts samples beyond -1 or beyond the height as 0; its
# Python version moves them into the map. They differ for flat boxes at the frame's end. We compare with the operator.
_interpolate = torchvision.ops.roi_align.__globals__["_bilinear_interpolate"]


def _as_compiled(features, batch, y, x, ymask, xmask):
    height, width = features.shape[2:]
    rows, columns = (y >= -1) & (y <= height), (x >= -1) & (x <= width)
    inside = rows[:, None, :, None, :, None] & columns[:, None, None, :, None, :]
    return _interpolate(features, batch, y, x, ymask, xmask) * inside


torchvision.ops.roi_align.__globals__["_bilinear_interpolate"] = _as_compiled

CLASSES = 3
SIZES = ((60, 90), (96, 64))  # height, width
MIN_SIDE, MAX_SIDE = 96, 128
# Regions of the frame of each picture for the heads: one a level, one that reaches beyond, one without area.
BOXES = (((3.0, 5.0, 40.5, 60.25), (0.0, 0.0, 128.0, 85.0), (100.0, 20.0, 101.0, 21.0)),
         ((10.0, 30.0, 85.0, 125.0), (5.5, 5.5, 5.5, 30.0)))


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


def units(seed, shape, counter):
    u = (philox(seed, math.prod(shape), counter) >> np.uint64(8)).astype(np.float64) / 2.0**24
    return u.reshape(shape)


def made_up(name, shape, index):
    """The tensor of the recipe, float32."""
    u = units(2024, shape, (index, 0, 0))
    if name.endswith("running_var"):
        value = 2 + 4 * u
    elif name.endswith(".weight") and len(shape) > 1:
        value = (2 * u - 1) * math.sqrt(3 / math.prod(shape[1:]))
    elif name.endswith(".weight"):
        value = 1.5 + 0.5 * u  # scale of a norm
    else:
        value = 0.2 * (u - 0.5)  # biases and running means
    return torch.from_numpy(value.astype(np.float32))


def model():
    made = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES, min_size=MIN_SIDE, max_size=MAX_SIDE)
    state = made.state_dict()
    names = sorted(name for name in state if not name.endswith("num_batches_tracked"))
    for index, name in enumerate(names):
        state[name].copy_(made_up(name, tuple(state[name].shape), index))
    made.load_state_dict(state)
    return made.eval()


def show(name, tensor):
    """Sum, sum of magnitudes and eight values, evenly spread."""
    flat = tensor.detach().double().flatten()
    places = [i * (flat.numel() - 1) // 7 for i in range(8)]
    numbers = ", ".join(f"{float(v):.6g}" for v in [flat.sum(), flat.abs().sum(), *(flat[p] for p in places)])
    shape = ", ".join(str(s) for s in tensor.shape)
    print(f'      {{"{name}", {{{{{shape}}}, {{{numbers}}}}}}},')


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    net = model()
    pictures = [torch.from_numpy((units(7, (3, h, w), (0, 0, 1 + n)) * 255).astype(np.float32))
                for n, (h, w) in enumerate(SIZES)]
    images, _ = net.transform([p / 255 for p in pictures])
    show("frames", images.tensors)
    print("      // contents:", images.image_sizes)
    features = net.backbone(images.tensors)
    for name, level in zip(("P2", "P3", "P4", "P5", "P6"), features.values()):
        show(name, level)
    scores, deltas = net.rpn.head(list(features.values()))
    anchors = net.rpn.anchor_generator(images, list(features.values()))
    scores, deltas = torchvision.models.detection.rpn.concat_box_prediction_layers(scores, deltas)
    show("objectness", scores.view(len(SIZES), -1))
    show("deltas", deltas.view(len(SIZES), -1, 4))
    show("anchors", anchors[0])
    boxes = [torch.tensor(b) for b in BOXES]
    crops = net.roi_heads.box_roi_pool(features, boxes, images.image_sizes)
    show("crops", crops)
    logits, head_deltas = net.roi_heads.box_predictor(net.roi_heads.box_head(crops))
    show("logits", logits)
    show("head deltas", head_deltas.view(-1, CLASSES, 4))
    masks = net.roi_heads.mask_roi_pool(features, boxes, images.image_sizes)
    show("mask crops", masks)
    show("mask logits", net.roi_heads.mask_predictor(net.roi_heads.mask_head(masks)))
    for n, proposed in enumerate(net.rpn(images, features)[0]):
        show(f"proposals {n}", proposed)
    for n, found in enumerate(net([p / 255 for p in pictures])):
        for key in ("boxes", "scores", "labels"):
            show(f"{key} {n}", found[key])
        show(f"masks {n}", (found["masks"][:, 0] > 0.5).float())


if __name__ == "__main__":
    main()
