// learning/torch_pch.h
// SPDX-License-Identifier: Apache-2.0
//
// What is precompiled once for every target that computes with tensors (learning/CMakeLists.txt). Tensors and autograd
// only: <torch/torch.h> would triple the cost of loading it. Nobody includes this file; sources name what they use.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
