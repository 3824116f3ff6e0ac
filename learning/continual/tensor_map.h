// learning/continual/tensor_map.h
// SPDX-License-Identifier: Apache-2.0
//
// Tensors by name: what optimisers and strategies hand to a checkpoint and take back. Names are printable ASCII and at
// most 200 bytes, so that a checkpoint can put a prefix before them.
//
// Thread-safety: value type; the tensors share their memory with whoever made the map.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace hemafed::learning {

using TensorMap = std::map<std::string, at::Tensor>;

}  // namespace hemafed::learning
