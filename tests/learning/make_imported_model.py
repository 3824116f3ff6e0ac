#!/usr/bin/env python3
# tests/learning/make_imported_model.py
# SPDX-License-Identifier: Apache-2.0
"""Writes FILE.safetensors: ResNet-18 with the recipe's weights (resnet_reference.py), saved as torchvision saves it and
taken in by scripts/import_weights.py. resnet_test.cc loads it and expects torchvision's logits.

    make_imported_model.py FILE.safetensors
"""

import hashlib
import pathlib
import sys
import tempfile

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "learning")]
sys.dont_write_bytecode = True
import import_weights  # noqa: E402
import resnet_reference  # noqa: E402
import torchvision_like  # noqa: E402


def main(output):
    state = resnet_reference.fill(torchvision_like.make("resnet18")).float().state_dict()
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "resnet18.pth"
        torch.save(state, source)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        return import_weights.main(["--architecture", "resnet18", "--source", str(source), "--sha256", digest,
                                    "--output", output, "--with-head"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
