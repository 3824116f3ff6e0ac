// SPDX-License-Identifier: Apache-2.0
//
// How large an update becomes in each encoding, what int8 leaves to the next round, and how fast both are.
//   update_bench [FOLDER]                         a made-up model: 11 million values in 60 tensors, each Gaussian with
//   a
//                                                 standard deviation of its own between 2^-17 and 2^-7
//   update_bench FOLDER MODEL CANONICAL...        canonical forms of real updates (the coordinator's objects) of MODEL
// Files are written below FOLDER (default: the folder for temporary files) and removed.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>

#include "codec/update.h"
#include "common/error.h"
#include "common/random.h"

namespace {

using namespace hemafed;  // NOLINT(google-build-using-namespace): a program of one file.

UpdateLayout MadeUpLayout() {
  UpdateLayout layout;
  for (int i = 0; i < 60; ++i) {
    const std::int64_t size = i % 3 == 2 ? 64 << (i / 20) : 1000 + 9000 * static_cast<std::int64_t>(i);
    layout.tensors.push_back({"t" + std::to_string(100 + i), {size}});
  }
  return layout;
}

std::vector<float> MadeUpDeltas(const UpdateLayout& layout) {
  RandomStream random(1);
  std::vector<float> deltas;
  for (std::size_t t = 0; t < layout.tensors.size(); ++t) {
    const double deviation = std::ldexp(1.0, -17 + static_cast<int>(t % 11));
    for (std::uint64_t i = layout.tensors[t].ValueCount(); i > 0; --i) {
      deltas.push_back(static_cast<float>(deviation * random.NextNormal()));
    }
  }
  return deltas;
}

std::vector<float> RealDeltas(FileSystem& files, const UpdateLayout& layout, const Path& canonical) {
  std::vector<std::int32_t> values(layout.ValueCount());
  const auto file = files.OpenForRead(canonical);
  const std::span<std::uint8_t> bytes(reinterpret_cast<std::uint8_t*>(values.data()), values.size() * 4);
  if (file->Size() != bytes.size() || file->ReadAt(0, bytes) != bytes.size()) {
    throw Error(ErrorCode::kInvalidInput, canonical.string() + " is not an update of the model");
  }
  std::vector<float> deltas;
  deltas.reserve(values.size());
  for (const std::int32_t value : values) {
    deltas.push_back(static_cast<float>(std::ldexp(static_cast<double>(value), -kGridBits)));
  }
  return deltas;
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Measure(FileSystem& files, const Path& file, const UpdateLayout& layout, const std::vector<float>& deltas) {
  const std::vector<float> base(deltas.size());
  double squares = 0;
  for (const float delta : deltas) squares += static_cast<double>(delta) * delta;
  for (const UpdateEncoding encoding : {UpdateEncoding::kInt32, UpdateEncoding::kInt8}) {
    const UpdateFormat format{.encoding = encoding};
    std::vector<float> residual(deltas.size());
    std::vector<std::int32_t> values(deltas.size());
    auto start = std::chrono::steady_clock::now();
    std::size_t at = 0;
    for (const TensorSpec& tensor : layout.tensors) {
      const std::size_t count = tensor.ValueCount();
      QuantizeDelta(tensor.name, std::span(deltas).subspan(at, count), std::span(base).subspan(at, count),
                    std::span(residual).subspan(at, count), std::span(values).subspan(at, count), format);
      at += count;
    }
    const double rounding = SecondsSince(start);
    start = std::chrono::steady_clock::now();
    UpdateWriter writer(files, file, layout, format);
    writer.Append(values);
    const UpdateFileInfo info = writer.Finish(Durability::kCached);
    const double writing = SecondsSince(start);
    start = std::chrono::steady_clock::now();
    (void)DecodeUpdate(
        *files.OpenForRead(file), layout, [](auto) {}, format);
    const double reading = SecondsSince(start);
    double left = 0;
    for (const float value : residual) left += static_cast<double>(value) * value;
    const auto plain = static_cast<double>(deltas.size()) * 4;
    std::printf(
        "  %-5s  %.0f bytes as float32, %.0f in the file: %.2f times smaller; left over %.2f %% of the norm; "
        "M values/s: rounding %.0f, writing %.0f, reading %.0f\n",
        std::string(UpdateEncodingName(encoding)).c_str(), plain, static_cast<double>(info.file_bytes),
        plain / static_cast<double>(info.file_bytes), 100 * std::sqrt(left / squares), plain / 4e6 / rounding,
        plain / 4e6 / writing, plain / 4e6 / reading);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Path parent = argc > 1 ? Path(argv[1]) : std::filesystem::temp_directory_path();
  std::string folder = (parent / "hemafed-bench-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    std::perror(folder.c_str());
    return 1;
  }
  int result = 0;
  try {
    FileSystem& files = RealFileSystem();
    if (argc <= 3) {
      const UpdateLayout layout = MadeUpLayout();
      std::printf("made-up update\n");
      Measure(files, Path(folder) / "u.hfu", layout, MadeUpDeltas(layout));
    } else {
      const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files, argv[2]));
      for (int i = 3; i < argc; ++i) {
        std::printf("%s\n", argv[i]);
        Measure(files, Path(folder) / "u.hfu", layout, RealDeltas(files, layout, argv[i]));
      }
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    result = 1;
  }
  std::filesystem::remove_all(folder);
  return result;
}
