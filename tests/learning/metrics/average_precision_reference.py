# SPDX-License-Identifier: Apache-2.0
"""Prints the tables and numbers of average_precision_test.cc, from pycocotools 2.0.

    pip install numpy pycocotools && python average_precision_reference.py

Inputs come from a small linear congruential generator: boxes with integer corners; the mask of a box is the ellipse
that it encloses, by integer arithmetic (pixel x, y is inside if (2x + 1 - x0 - x1)^2 h^2 + (2y + 1 - y0 - y1)^2 w^2 <= w^2
h^2), so that the test draws the same pixels.
"""
import contextlib
import io

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

WIDTH, HEIGHT, PICTURES = 260, 220, 6
state = 11


def draw(below):
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 33) % below


def box():
    width, height = (8 + draw(24), 8 + draw(24)) if draw(3) == 0 else (20 + draw(180), 20 + draw(150))
    x, y = draw(WIDTH - width), draw(HEIGHT - height)
    return x, y, x + width, y + height


def shifted(b, by):
    moved = [v + draw(2 * by + 1) - by for v in b]
    x0, y0 = max(0, moved[0]), max(0, moved[1])
    return x0, y0, min(WIDTH, max(moved[2], x0 + 4)), min(HEIGHT, max(moved[3], y0 + 4))


def ellipse(b):
    x0, y0, x1, y1 = b
    w, h = x1 - x0, y1 - y0
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.int64)
    inside = (2 * x + 1 - x0 - x1) ** 2 * h * h + (2 * y + 1 - y0 - y1) ** 2 * w * w <= w * w * h * h
    return np.asfortranarray(inside.astype(np.uint8))


annotated, found = [], []
for picture in range(PICTURES):
    if picture == 4:  # nothing annotated, two false alarms
        found += [(picture, box(), 0.55), (picture, box(), 0.31)]
        continue
    for _ in range(2 + draw(5)):
        b = box()
        crowd = int(draw(5) == 0)
        annotated.append((picture, b, crowd))
        for _ in range(draw(3) if picture != 5 else 0):  # picture 5: nothing found
            found.append((picture, shifted(b, 1 + draw(6)), round(0.3 + draw(14) / 20, 2)))  # scores that tie
    if picture < 3:
        found.append((picture, box(), round(draw(60) / 100, 2)))


def evaluate(kind):
    area = lambda b: int(ellipse(b).sum()) if kind == "segm" else (b[2] - b[0]) * (b[3] - b[1])
    segment = lambda b: {k: (v.decode() if k == "counts" else v) for k, v in rle.encode(ellipse(b)).items()}
    xywh = lambda b: [b[0], b[1], b[2] - b[0], b[3] - b[1]]
    truth = COCO()
    truth.dataset = {
        "info": {}, "images": [{"id": i, "width": WIDTH, "height": HEIGHT} for i in range(PICTURES)],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"id": n + 1, "image_id": p, "category_id": 1, "bbox": xywh(b), "area": area(b),
                         "iscrowd": c, "segmentation": segment(b)} for n, (p, b, c) in enumerate(annotated)]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        rows = [{"image_id": p, "category_id": 1, "score": s,
                 **({"segmentation": segment(b)} if kind == "segm" else {"bbox": xywh(b)})} for p, b, s in found]
        run = COCOeval(truth, truth.loadRes(rows), kind)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


print("annotated:")
for p, b, c in annotated:
    print(f"    {{{p}, {{{', '.join(map(str, b))}}}, {'true' if c else 'false'}}},")
print("found:")
for p, b, s in found:
    print(f"    {{{p}, {{{', '.join(map(str, b))}}}, {s}}},")
for kind in ("bbox", "segm"):
    print(kind, ", ".join(f"{v:.12f}" for v in evaluate(kind)))
