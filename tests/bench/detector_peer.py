#!/usr/bin/env python3
# tests/bench/detector_peer.py
# SPDX-License-Identifier: Apache-2.0
"""Times torchvision's Mask R-CNN part by part as detector_bench times ours: same parts, same numbers of boxes.

    pip install torch==2.13.0 numpy pillow && pip install --no-deps torchvision==0.28.0
    python tests/bench/detector_peer.py [MIN_SIDE [ROUNDS [THREADS]]]          400 5 2

A wheel without compiled operators (torchvision_reference.py declares them) runs RoIAlign and suppression in Python:
then only the row "network" is a comparison, and the last lines say so.
"""

import statistics
import sys
import time

import torch

COMPILED = True
try:
    from torchvision_reference import torchvision
    COMPILED = False
except ImportError:
    import torchvision

PROPOSALS, DETECTIONS, LEVEL_CANDIDATES = 1000, 100, 1000


def made_up_boxes(count, side, generator):
    sizes = 8 + torch.rand(count, 2, generator=generator) * (side - 8)
    corners = torch.rand(count, 2, generator=generator) * (side - sizes)
    return torch.cat([corners, corners + sizes], 1)


@torch.inference_mode()
def main(side=400, rounds=5, threads=2):
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(1)
    net = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=2, min_size=side, max_size=max(1333, side),
        norm_layer=torchvision.ops.FrozenBatchNorm2d, box_score_thresh=0.0).eval()
    images, _ = net.transform([torch.rand(3, side, side, generator=generator)])
    features = net.backbone(images.tensors)
    proposals = [made_up_boxes(PROPOSALS, side, generator)]
    found = [made_up_boxes(DETECTIONS, side, generator)]
    heads = net.roi_heads
    crops = heads.box_roi_pool(features, proposals, images.image_sizes)
    mask_crops = heads.mask_roi_pool(features, found, images.image_sizes)
    counts = [min(LEVEL_CANDIDATES, 3 * level.shape[2] * level.shape[3]) for level in features.values()]
    boxes = torch.cat([made_up_boxes(count, side, generator) for count in counts])
    groups = torch.cat([torch.full((count,), level) for level, count in enumerate(counts)])
    scores = torch.rand(len(boxes), generator=generator)

    def network():
        net.rpn.head(list(net.backbone(images.tensors).values()))
        heads.box_predictor(heads.box_head(crops))
        heads.mask_predictor(heads.mask_head(mask_crops))

    def regions():
        heads.box_roi_pool(features, proposals, images.image_sizes)
        heads.mask_roi_pool(features, found, images.image_sizes)

    def nms():
        torchvision.ops.batched_nms(boxes, scores, groups, 0.7)
        torchvision.ops.nms(proposals[0], scores[:PROPOSALS], 0.5)

    parts = {"network": network, "regions": regions, "nms": nms}
    seconds = {name: [] for name in parts}
    for turn in range(-1, rounds):
        for name, work in parts.items():
            start = time.perf_counter()
            work()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    print(f"torchvision {torchvision.__version__}, resnet50, {side} x {side} px, {threads} threads, cpu")
    for name, values in seconds.items():
        print(f"  {name:<34} {1000 * statistics.median(values):9.2f} ms")
    if not COMPILED:
        print("  regions and nms ran in Python: this wheel has no compiled operators")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
