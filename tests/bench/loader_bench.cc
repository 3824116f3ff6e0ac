// SPDX-License-Identifier: Apache-2.0
//
// How fast pictures reach training. Usage: loader_bench [FOLDER WITH DOMAINS [SIDE]]   (default ../shared/data, 128 px)
//
// For acevedo20 and raabin, on one thread: files decoded and resized a second, tiles read from the cache a second, and
// their ratio. Then batches of 32, augmented as a plan does it, pictures a second: in the caller's turn, and fetched
// ahead by one and by two loader threads.
#include <opencv2/core/utility.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/error.h"
#include "learning/continual/prefetch_batches.h"
#include "learning/data/import.h"
#include "learning/data/picture.h"
#include "learning/data/tile_batches.h"

namespace {

using namespace hemafed;
using namespace hemafed::learning;

constexpr std::uint32_t kBatch = 32;
constexpr std::uint32_t kBatches = 60;
constexpr int kTrials = 3;

double SecondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Pictures a second, the best of several trials.
double RateOf(std::size_t pictures, const std::function<void()>& work) {
  double best = 0.0;
  for (int trial = 0; trial < kTrials; ++trial) best = std::max(best, static_cast<double>(pictures) / SecondsOf(work));
  return best;
}

void Measure(const Path& data, const std::string& domain, std::uint32_t side, const Path& scratch) {
  FileSystem& files = RealFileSystem();
  const LabelMap labels = LabelMap::Parse(
      "name=\"all\"\nunknown=\"skip\"\ndropped=[\"none\"]\n[[class]]\nname=\"cell\"\nlabels=[\"basophil\","
      "\"eosinophil\","
      "\"erythroblast\",\"promyelocyte\",\"myelocyte\",\"metamyelocyte\",\"neutrophil\",\"neutrophil_banded\","
      "\"neutrophil_segmented\",\"monocyte\",\"lymphocyte_typical\"]\n",
      "labels");
  const DatasetIndex index = ImportManifest(files, data / domain, domain, labels).index;
  const TileShape shape{.side = side};
  const TileCache cache = TileCache::OpenOrBuild(files, data / domain, index, shape, scratch);

  const double decoded = RateOf(index.pictures.size(), [&] {
    for (const PictureEntry& picture : index.pictures) {
      const std::string content = ReadFile(files, data / domain / picture.file, kMaxPictureFileBytes);
      (void)MakeTile(std::get<cv::Mat>(DecodePicture(AsBytes(content))), shape);
    }
  });
  std::vector<std::uint8_t> tile(shape.Bytes());
  const double read = RateOf(index.pictures.size(), [&] {
    for (std::uint32_t i = 0; i < cache.size(); ++i) cache.Read(i, tile);
  });
  std::printf("%-10s %4zu pictures  decode+resize %8.0f /s  tile cache %9.0f /s  ratio %6.1f\n", domain.c_str(),
              index.pictures.size(), decoded, read, read / decoded);

  std::vector<std::uint32_t> all(index.pictures.size());
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  AugmentationPlan plan;
  plan.flips = true;
  plan.rotation = Rotation::kAny;
  plan.shift = plan.zoom = 0.1;
  plan.brightness = plan.contrast = plan.saturation = 0.2;
  plan.hue = 0.02;
  plan.blur = 1.0;
  TileBatches source(cache, index, all, index.classes, plan, {}, TileThreads::kCaller);
  for (const unsigned threads : {0u, 1u, 2u}) {
    const double rate = RateOf(std::size_t{kBatch} * kBatches, [&] {
      std::uint32_t step = 0;
      PrefetchBatches ahead(source,
                            [&]() -> std::optional<BatchRequest> {
                              if (step == kBatches) return std::nullopt;
                              BatchRequest request{{}, AugmentationKey{.seed = 1, .step = step}};
                              for (std::uint32_t k = 0; k < kBatch; ++k) {
                                request.indices.push_back((step * kBatch + k) % static_cast<std::uint32_t>(all.size()));
                              }
                              ++step;
                              return request;
                            },
                            {.threads = threads, .depth = 4});
      while (ahead.Next()) {
      }
    });
    std::printf("%-10s loader, all augmentation, %u threads %27.0f /s\n", domain.c_str(), threads, rate);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Path data = argc > 1 ? argv[1] : "../shared/data";
  const auto side = static_cast<std::uint32_t>(argc > 2 ? std::atoi(argv[2]) : 128);
  if (!std::filesystem::exists(data / "acevedo20") || !std::filesystem::exists(data / "raabin")) {
    std::printf("no pictures in %s: name the folder that holds acevedo20 and raabin\n", data.c_str());
    return 0;
  }
  cv::setNumThreads(1);
  std::string scratch = (std::filesystem::temp_directory_path() / "loader-bench-XXXXXX").string();
  if (::mkdtemp(scratch.data()) == nullptr) return 1;
  int status = 0;
  try {
    for (const char* domain : {"acevedo20", "raabin"}) Measure(data, domain, side, scratch);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    status = ExitStatus(error.code());
  }
  std::filesystem::remove_all(scratch);
  return status;
}
