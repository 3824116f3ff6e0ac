// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/drift_reference.h"

#include <vector>

#include "codec/latent_moments.h"
#include "codec/latent_reference.h"
#include "common/error.h"

namespace hemafed {

namespace {

std::string NameOf(const DescribedLatents& described) {
  return "latent moments of " + described.site + ", object " + described.moments.values.Hex();
}

std::unique_ptr<ReadableFile> OpenStored(const std::function<std::unique_ptr<ReadableFile>(const Digest&)>& open,
                                         const DescribedLatents& described) {
  try {
    return open(described.moments.values);
  } catch (const Error& error) {
    // That it is gone is no fault of whoever is compared with it.
    if (error.code() != ErrorCode::kNotFound) throw;
    throw Error(
        ErrorCode::kCorrupt,
        NameOf(described) + " is missing, though the log has it: restore it from a copy (" + error.what() + ")");
  }
}

LatentMoments ReadStored(const ReadableFile& file, const DescribedLatents& described, std::uint32_t width) {
  const std::string what = NameOf(described);
  try {
    LatentMoments moments = ReadLatentMoments(file, width);
    if (moments.Hash() == described.moments.values) return moments;
  } catch (const Error& error) {
    // They were read and judged when they came: whoever is compared with them now has no part in it.
    if (error.code() != ErrorCode::kInvalidInput) throw;
    throw Error(ErrorCode::kCorrupt, what + ": " + error.what());
  }
  throw Error(ErrorCode::kCorrupt, what + " does not have the content of its name");
}

}  // namespace

std::optional<std::string> WhyAnotherReference(
    const FederationState& state, const DriftAnswer& answer,
    const std::function<std::unique_ptr<ReadableFile>(const Digest&)>& open) {
  const std::optional<Digest> stated = ReferenceOf(answer);
  if (!stated) return std::nullopt;
  std::vector<GaussianComponent> components;
  for (const DescribedLatents& earlier : state.described()) {
    const auto file = OpenStored(open, earlier);
    components.push_back(ComponentOf(ReadStored(*file, earlier, state.plan().model.LatentWidth())));
  }
  if (*stated == DigestOfComponents(components)) return std::nullopt;
  return "the reference that the latents were compared with is not that of the log's moments";
}

}  // namespace hemafed
