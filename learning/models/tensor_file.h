// learning/models/tensor_file.h
// SPDX-License-Identifier: Apache-2.0
//
// Named tensors into a safetensors file and back: what every kind of model file shares, whatever its metadata say.
//
// Errors: Error(kInvalidInput), naming file and tensor; those of FileSystem. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/safetensors.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// Reads one tensor: float32 of this shape, every value finite, no ".running_var" below zero. `owner` names what it
// belongs to: "the model".
[[nodiscard]] at::Tensor ReadTensor(const SafetensorsReader& reader, const std::string& name,
                                    const std::vector<std::int64_t>& shape, std::string_view owner);

// Refuses a file that holds another tensor than these, which ascend by name.
void RequireNoOther(const SafetensorsReader& reader, const std::vector<std::string>& names, std::string_view owner);

// Writes the whole file beside `path`, then renames; afterwards it is durable. Tensors must be float32. Returns the
// file's SHA-256.
Digest WriteTensors(FileSystem& files, const Path& path, const std::vector<NamedTensor>& tensors,
                    const std::map<std::string, std::string>& metadata, std::string_view owner);

}  // namespace hemafed::learning
