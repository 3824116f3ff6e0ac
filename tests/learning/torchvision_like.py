# tests/learning/torchvision_like.py
# SPDX-License-Identifier: Apache-2.0
"""Residual networks as torch.nn modules whose state dict has torchvision's names, for tests without torchvision."""

from torch import nn


class Block(nn.Module):
    def __init__(self, channels, middle, out, stride, groups, bottleneck):
        super().__init__()
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        widths = (channels, middle, middle, out) if bottleneck else (channels, out, out)
        strided = 1 if bottleneck else 0
        for i, kernel in enumerate(kernels):
            step, parts = (stride if i == strided else 1), (groups if kernel == 3 else 1)
            self.add_module(f"conv{i + 1}", nn.Conv2d(widths[i], widths[i + 1], kernel, step, kernel // 2, groups=parts,
                                                      bias=False))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(widths[i + 1]))
        self.layers = len(kernels)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for i in range(1, self.layers + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = y.relu() if i < self.layers else y
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    def __init__(self, blocks, bottleneck, groups, channels_group, classes=1000):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        for stage, count in enumerate(blocks):
            out, middle = (256 if bottleneck else 64) << stage, (groups * channels_group) << stage
            layers = []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(Block(channels, middle, out, stride, groups, bottleneck))
                channels = out
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


def make(architecture, classes=1000):
    bottleneck = architecture != "resnet18"
    blocks = (3, 4, 6, 3) if bottleneck else (2, 2, 2, 2)
    groups, channels = (32, 4) if architecture == "resnext50_32x4d" else (1, 64)
    return ResNet(blocks, bottleneck, groups, channels, classes)
