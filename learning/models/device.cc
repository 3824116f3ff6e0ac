// SPDX-License-Identifier: Apache-2.0
#include "learning/models/device.h"

#include <torch/cuda.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "common/error.h"

namespace hemafed::learning {

namespace {

constexpr std::string_view kCuda = "cuda";
constexpr unsigned kMaxDevice = 99;         // More GPUs than any one machine has.
constexpr std::size_t kMaxModelBytes = 64;  // of a GPU's name
constexpr std::string_view kModelKey = "Model:";

// The number behind "cuda:"; 0 for "cuda" alone.
unsigned NumberIn(std::string_view name) {
  const std::string_view rest = name.substr(std::min(name.size(), kCuda.size()));
  unsigned number = 0;
  bool good = name.starts_with(kCuda) && (rest.empty() || (rest.starts_with(':') && rest.size() > 1));
  if (good && !rest.empty()) {
    const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), number);
    good = error == std::errc() && end == rest.data() + rest.size() && number <= kMaxDevice;
  }
  if (!good) {
    throw Error(ErrorCode::kInvalidInput,
                "the device '" + std::string(name.substr(0, 64)) + "' is not known; there are cpu, cuda and cuda:N");
  }
  return number;
}

// The models that the driver names.
std::set<std::string> Models(const Path& driver) {
  std::set<std::string> models;
  std::error_code none;
  for (const auto& folder : std::filesystem::directory_iterator(driver, none)) {
    std::ifstream file(folder.path() / "information");
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with(kModelKey)) continue;
      const std::size_t begin = line.find_first_not_of(" \t", kModelKey.size());
      if (begin != std::string::npos) models.insert(line.substr(begin, kMaxModelBytes));
    }
  }
  return models;
}

}  // namespace

c10::Device RequireDevice(std::string_view name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  const unsigned number = NumberIn(name);
  const std::size_t count = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
  if (number >= count) {
    throw Error(ErrorCode::kUnavailable,
                "the device " + std::string(name) + " is not there: " +
                    (count == 0 ? std::string("this LibTorch sees no GPU (it needs a CUDA build and a driver)")
                                : "this machine has " + std::to_string(count) + " GPU(s), counted from 0") +
                    "; use --device cpu, or build with another LibTorch (-DLIBTORCH_DIR)");
  }
  // cuBLAS gives the same bits again only with a workspace of fixed size, and LibTorch refuses matrix products without.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*replace=*/0);
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(number));
}

std::string DeviceText(c10::Device device, const Path& driver) {
  if (device.is_cpu()) return "cpu";
  const std::set<std::string> models = Models(driver);
  return models.size() == 1 ? device.str() + " (" + *models.begin() + ")" : device.str();
}

}  // namespace hemafed::learning
