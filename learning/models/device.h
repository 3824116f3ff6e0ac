// learning/models/device.h
// SPDX-License-Identifier: Apache-2.0
//
// Where a model computes, by name: "cpu", "cuda" (the first GPU) or "cuda:N". A GPU is used where this LibTorch was
// built for CUDA and the machine has a driver; nothing falls back to the processor unseen.
//
// Results on a GPU are made with LibTorch's deterministic kernels, as on the processor (torch_setup.h), but they are
// not the processor's bits.
//
// Thread-safety: RequireDevice may set an environment variable; call it before threads start.
#pragma once

#include <c10/core/Device.h>

#include <string>
#include <string_view>

#include "common/file_system.h"

namespace hemafed::learning {

// Where NVIDIA's driver for Linux describes each GPU of the machine, one folder a GPU.
inline constexpr const char* kDriverFolder = "/proc/driver/nvidia/gpus";

// Throws Error(kInvalidInput) for another name, kUnavailable if the machine has no such device for this LibTorch.
[[nodiscard]] c10::Device RequireDevice(std::string_view name);

// For records: "cpu", "cuda:0", or with the model "cuda:0 (NVIDIA H100 80GB HBM3)" where all GPUs that the driver lists
// are of one model. `driver` is read for GPUs only; where it is not there, the model is left out.
[[nodiscard]] std::string DeviceText(c10::Device device, const Path& driver = kDriverFolder);

}  // namespace hemafed::learning
