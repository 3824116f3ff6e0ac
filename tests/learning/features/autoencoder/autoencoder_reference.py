#!/usr/bin/env python3
# tests/learning/features/autoencoder/autoencoder_reference.py
# SPDX-License-Identifier: Apache-2.0
"""Prints the numbers that the tests in this folder compare with, from programs that share no code with ours.

    pip install torch pytorch-msssim==1.0.0 scikit-image==0.26.0
    python tests/learning/features/autoencoder/autoencoder_reference.py

The autoencoder is built from torch.nn layers, its losses from torch's functions, in float64; structural similarity with
an 11-tap window also comes from pytorch-msssim and scikit-image, over the places whose window lies inside the picture.
Inputs are Philox words (common/random.h), so they need no file: u = (word >> 8) / 2^24 of word e % 4 of
Philox(seed, (e / 4, t, 0, 0)).
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_msssim import ssim as msssim
from skimage.metrics import structural_similarity

torch.set_num_threads(1)


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


def units(seed, shape, t=0):
    values = (philox(seed, math.prod(shape), (t, 0, 0)) >> np.uint64(8)).astype(np.float64) / 2.0**24
    return torch.from_numpy(values.reshape(shape))


class BlockNorm(torch.nn.Module):
    def __init__(self, groups, channels):
        super().__init__()
        self.groups = groups
        self.weight = torch.nn.Parameter(torch.ones(channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        flat = x.reshape(x.shape[0], self.groups, -1)
        flat = (flat - flat.mean(2, keepdim=True)) / torch.sqrt(flat.var(2, keepdim=True) + 1e-5)
        return flat.reshape(x.shape) * self.weight[:, None, None] + self.bias[:, None, None]


class Autoencoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.ModuleList()
        for a, b, k, s, g in ((256, 200, 3, 1, 32), (200, 150, 3, 2, 30), (150, 100, 3, 1, 10), (100, 70, 2, 1, 10),
                              (70, 60, 2, 1, 20)):
            self.encoder.append(torch.nn.ModuleDict({"conv": torch.nn.Conv2d(a, b, k, s), "norm": BlockNorm(g, b)}))
        self.encoder.append(torch.nn.ModuleDict({"conv": torch.nn.Conv2d(60, 50, 1)}))
        self.feature_decoder = torch.nn.ModuleList(
            torch.nn.ConvTranspose2d(*layer) for layer in ((50, 150, 5, 1), (150, 200, 4, 2), (200, 256, 3, 1)))
        self.picture_decoder = torch.nn.ModuleList(
            torch.nn.ConvTranspose2d(*layer)
            for layer in ((256, 200, 5, 2), (200, 180, 3, 2), (180, 150, 3, 2), (150, 128, 2, 1), (128, 3, 1, 1)))

    def encode(self, x):
        for step in self.encoder[:-1]:
            x = step["norm"](torch.relu(step["conv"](x)))
        return torch.tanh(self.encoder[-1]["conv"](x)).flatten(1)

    def decode(self, z):
        x = z[:, :, None, None]
        for layer in self.feature_decoder[:-1]:
            x = torch.relu(layer(x))
        features = x = torch.tanh(self.feature_decoder[-1](x))
        for layer in self.picture_decoder[:-1]:
            x = torch.relu(layer(x))
        return features, torch.sigmoid(self.picture_decoder[-1](x))


def model():
    made = Autoencoder().double()
    for t, (name, value) in enumerate(sorted(made.named_parameters())):
        if ".norm." in name:
            continue
        # PyTorch's own rule names the bound of weights and biases of a layer alike.
        weight = dict(made.named_parameters())[name.rsplit(".", 1)[0] + ".weight"]
        bound = 1 / math.sqrt(torch.nn.init._calculate_fan_in_and_fan_out(weight)[0])
        value.data = (bound * (2 * units(2024, value.shape, t) - 1)).float().double()
    return made


def ssim_map(x, y, window):
    taps = torch.exp(-((torch.arange(window).double() - window // 2) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, window, window)

    def blur(a):
        return F.conv2d(a, kernel, padding=window // 2, groups=a.shape[1])

    mx, my = blur(x), blur(y)
    sx, sy, sxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    return ((2 * mx * my + 1e-4) * (2 * sxy + 9e-4)) / ((mx**2 + my**2 + 1e-4) * (sx + sy + 9e-4))


def alignment(a, b):
    def logs(z):
        return torch.log_softmax(torch.cov(z.t()), 0)

    p, q = logs(a), logs(b)
    kl = (p.exp() * (p - q)).mean() + (q.exp() * (q - p)).mean()
    return F.mse_loss(a.mean(0), b.mean(0)) + kl / 2


def show(name, values):
    print(name, " ".join("%.9g" % v for v in torch.as_tensor(values).detach().double().flatten().tolist()))


def main():
    x = units(41, (2, 3, 64, 64))
    y = 0.8 * x + 0.2 * units(42, (2, 3, 64, 64))
    show("ssim 10, 11, zeros outside:", [ssim_map(x, y, w).mean() for w in (10, 11)])
    show("ssim 11, inside, pytorch-msssim:", msssim(x, y, data_range=1, win_size=11, win_sigma=1.5))
    show("ssim 11, inside, scikit-image:", np.mean([
        structural_similarity(a.numpy(), b.numpy(), data_range=1, gaussian_weights=True, sigma=1.5,
                              use_sample_covariance=False, channel_axis=0) for a, b in zip(x, y)]))
    a, b = 2 * units(43, (9, 50)) - 1, 1.2 * units(44, (7, 50)) - 0.5
    show("alignment:", alignment(a, b))

    raw = 10 * units(31, (4, 256, 14, 14)) ** 3 - 2
    raw = raw.float().double()
    low, high = raw.amin((1, 2, 3), keepdim=True), raw.amax((1, 2, 3), keepdim=True)
    features = 2 * (raw - low) / (high - low) - 1
    pictures = torch.floor(256 * units(32, (4, 128, 128, 3))).permute(0, 3, 1, 2) / 255
    made = model()
    print("parameters", sum(p.numel() for p in made.parameters()))
    z = made.encode(features)
    decoded, shown = made.decode(z)
    show("latents of cell 1, values 0..4:", z[1, :5])
    show("decoded features of cell 1, channel 7, row 3:", decoded[1, 7, 3])
    show("decoded picture of cell 1, row 64, pixels 60..63, R G B:", shown[1, :, 64, 60:64])
    adam = torch.optim.Adam(made.parameters(), 1e-3)
    for step in range(3):
        z = made.encode(features)
        decoded, shown = made.decode(z)
        parts = [F.mse_loss(decoded, features), 1 - ssim_map(shown, pictures, 10).mean(), alignment(z[:2], z[2:])]
        show("step %d, losses:" % step, torch.stack(parts))
        adam.zero_grad()
        (parts[0] + parts[1] + 5 * parts[2]).backward()
        adam.step()


main()
