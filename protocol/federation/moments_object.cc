// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/moments_object.h"

#include <utility>

#include "common/error.h"

namespace hemafed {

std::optional<std::string> WhyNoMoments(const ReadableFile& file, const MomentsReport& report, const Plan& plan,
                                        std::optional<LatentMoments>* moments) {
  std::optional<LatentMoments> read;
  try {
    read = ReadLatentMoments(file, plan.model.LatentWidth());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return std::string(error.what());
  }
  if (read->Hash() != report.values) return "the latent moments do not have the digest that the site signed";
  if (read->cells() != static_cast<std::int64_t>(report.cells)) {
    return "the latent moments are of " + std::to_string(read->cells()) + " cells, the site signed " +
           std::to_string(report.cells);
  }
  if (!read->MaySend(static_cast<std::int64_t>(plan.min_pictures))) {
    return "the latent moments are of fewer than min_pictures cells, or than two";
  }
  if (moments != nullptr) *moments = std::move(read);
  return std::nullopt;
}

}  // namespace hemafed
