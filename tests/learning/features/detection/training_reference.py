#!/usr/bin/env python3
# tests/learning/features/detection/training_reference.py
# SPDX-License-Identifier: Apache-2.0
"""Prints the numbers that the tests of detector training compare with, from torchvision 0.28.0.

    pip install torch==2.13.0 numpy pillow && pip install --no-deps torchvision==0.28.0
    PYTHONPATH=FOLDER_OF_torchvision_reference.py python tests/learning/features/detection/training_reference.py

torchvision_reference.py declares torchvision's compiled operators so that its Python parts can be imported without
them; where the operators are there, `import torchvision` does as well.
"""

import torch

try:
    from torchvision_reference import torchvision
except ImportError:
    import torchvision
from torchvision.models.detection import _utils as det_utils

torch.set_printoptions(precision=8, sci_mode=False)


def show(name, value):
    print(name, [float(f"{v:.8g}") for v in value.reshape(-1).tolist()])


references = torch.tensor([[10.0, 20, 50, 44], [0, 0, 16, 32]])
boxes = torch.tensor([[14.0, 18, 60, 50], [3, 1, 12, 40]])
wild = torch.tensor([[1.0, -2, 100, 0.5], [0.3, 0.7, -1, 200]])
coder = det_utils.BoxCoder((10.0, 10.0, 5.0, 5.0))
show("encode", coder.encode_single(boxes, references))
show("decode", coder.decode_single(wild, references))


def wave(count, step, phase, low, high):
    """low..high: the tests' numbers without a file."""
    i = torch.arange(count, dtype=torch.float64)
    return (low + (high - low) * (0.5 + 0.5 * torch.sin(i * step + phase))).float()


def wave_boxes(count, phase):
    x0, y0 = wave(count, 0.7, phase, 0, 60), wave(count, 1.3, phase + 1, 0, 50)
    return torch.stack([x0, y0, x0 + wave(count, 2.1, phase + 2, 5, 40), y0 + wave(count, 0.9, phase + 3, 5, 30)], 1)


truth, candidates = wave_boxes(3, 0.2), wave_boxes(60, 0.5)
quality = torchvision.ops.boxes.box_iou(truth, candidates)
for low, high, best in ((0.3, 0.7, True), (0.5, 0.5, False)):
    matches = det_utils.Matcher(high, low, allow_low_quality_matches=best)(quality)
    print("matches", high, low, best, matches.tolist())

from torchvision.models.detection.roi_heads import fastrcnn_loss, maskrcnn_loss, project_masks_on_boxes

labels = torch.tensor([1, 0, 1, 0, 0, 1])
logits = wave(12, 0.8, 0.1, -2, 2).view(6, 2)
deltas = wave(48, 1.1, 0.4, -1, 1).view(6, 8)
targets = wave(24, 0.6, 0.9, -1, 1).view(6, 4)
class_loss, box_loss = fastrcnn_loss(logits, deltas, [labels], [targets])
print("fastrcnn_loss", f"{class_loss.item():.8g} {box_loss.item():.8g}")

rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
masks = torch.stack([(((rows - 18) / 12) ** 2 + ((columns - 30) / 20) ** 2 <= 1).float(),
                     (((rows - 25) / 9) ** 2 + ((columns - 12) / 7) ** 2 <= 1).float()])
rois = torch.tensor([[8.3, 4.1, 52.7, 31.9], [2.0, 10.5, 22.5, 36.0], [-3.0, -2, 61, 39], [20.2, 18.8, 20.9, 19.1]])
owners = torch.tensor([0, 1, 0, 0])
projected = project_masks_on_boxes(masks, rois, owners, 28)
for n in range(4):
    show(f"mask target {n}: sum and row 6", torch.cat([projected[n].sum()[None], projected[n][6]]))
mask_logits = wave(4 * 2 * 28 * 28, 0.05, 0.3, -3, 3).view(4, 2, 28, 28)
print("maskrcnn_loss", f"{maskrcnn_loss(mask_logits, [rois], [masks], [torch.tensor([1, 1])], [owners]).item():.8g}")
