#!/usr/bin/env python3
# tests/learning/features/detection/make_imported_detector.py
# SPDX-License-Identifier: Apache-2.0
"""Writes a detector's file for imported_detector_test.cc: a state dict with the names of torchvision's published Mask
R-CNN file (those from before 0.14), taken through scripts/import_weights.py.

    python make_imported_detector.py OUTPUT.safetensors

Element e of the k-th tensor, in ascending order of today's names, is (e % 1000 + k) / 1024.
"""

import contextlib
import hashlib
import io
import pathlib
import sys
import tempfile

import torch

ROOT = pathlib.Path(__file__).resolve().parents[4]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "learning")]
sys.dont_write_bytecode = True
import import_weights  # noqa: E402
import torchvision_like  # noqa: E402

CLASSES = 5


def layers():
    """Old name, today's name, shape of every weight beside the body."""
    for level, channels in enumerate((256, 512, 1024, 2048)):
        fpn = "backbone.fpn."
        yield f"{fpn}inner_blocks.{level}", f"{fpn}inner_blocks.{level}.0", (256, channels, 1, 1)
        yield f"{fpn}layer_blocks.{level}", f"{fpn}layer_blocks.{level}.0", (256, 256, 3, 3)
    yield "rpn.head.conv", "rpn.head.conv.0.0", (256, 256, 3, 3)
    for index in range(4):
        yield f"roi_heads.mask_head.mask_fcn{index + 1}", f"roi_heads.mask_head.{index}.0", (256, 256, 3, 3)
    for name, shape in (("rpn.head.cls_logits", (3, 256, 1, 1)), ("rpn.head.bbox_pred", (12, 256, 1, 1)),
                        ("roi_heads.box_head.fc6", (1024, 12544)), ("roi_heads.box_head.fc7", (1024, 1024)),
                        ("roi_heads.box_predictor.cls_score", (CLASSES, 1024)),
                        ("roi_heads.box_predictor.bbox_pred", (4 * CLASSES, 1024)),
                        ("roi_heads.mask_predictor.conv5_mask", (256, 256, 2, 2)),
                        ("roi_heads.mask_predictor.mask_fcn_logits", (CLASSES, 256, 1, 1))):
        yield name, name, shape


def main(output):
    shapes = {}  # today's name -> old name, shape
    for name, value in torchvision_like.make("resnet50").state_dict().items():
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked"):
            shapes["backbone.body." + name] = ("backbone.body." + name, tuple(value.shape))
    for old, new, shape in layers():
        shapes[new + ".weight"] = (old + ".weight", shape)
        shapes[new + ".bias"] = (old + ".bias", (shape[0],))
    state = {}
    for index, (old, shape) in enumerate(shapes[name] for name in sorted(shapes)):
        count = torch.Size(shape).numel()
        state[old] = ((torch.arange(count) % 1000 + index) / 1024).reshape(shape)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        source = pathlib.Path(folder) / "weights.pth"
        torch.save(state, source)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        arguments = ["--architecture", import_weights.MASK_RCNN, "--source", str(source), "--output", output]
        if import_weights.main(arguments) != 1:
            return "weights without a trusted digest were taken"
        if import_weights.main([*arguments, "--with-head", "--sha256", digest]) != 1:
            return "--with-head was taken"
        del state["rpn.head.conv.bias"]
        torch.save(state, source)
        if import_weights.main([*arguments, "--sha256", hashlib.sha256(source.read_bytes()).hexdigest()]) != 1:
            return "weights without a tensor were taken"
        state["rpn.head.conv.bias"] = ((torch.arange(256) + sorted(shapes).index("rpn.head.conv.0.0.bias")) / 1024)
        torch.save(state, source)
        return import_weights.main([*arguments, "--sha256", hashlib.sha256(source.read_bytes()).hexdigest()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
