// SPDX-License-Identifier: Apache-2.0
//
// FederationState: moments of latents, by which hospitals that train an autoencoder are aligned
// (docs/latent_moments.md), or compared with one another (docs/drift_check.md).
#include <algorithm>

#include "codec/latent_moments.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/refusals.h"

namespace hemafed {

void FederationState::CheckMoments(const std::string& site, const MomentsReport& report,
                                   const std::string& what) const {
  if (!plan().AlignsLatents() && site != participants_.front()) OutOfPlace(what + ": none are due from this site");
  if (moments_.contains(site)) OutOfPlace(what + ": already sent for round " + std::to_string(round_));
  const std::uint64_t least = std::max<std::uint64_t>(plan().min_pictures, 2);
  if (report.cells < least) Refuse(what + ": of fewer than the plan's " + std::to_string(least) + " cells");
  if (report.cells > CommittedBy(site, what).pictures) Refuse(what + ": of more cells than it committed to");
  if (report.file_bytes != LatentMomentsBytes(plan().model.LatentWidth())) {
    Refuse(what + ": their file has another size than latents of " + std::to_string(plan().model.LatentWidth()) +
           " values take");
  }
  // No two hospitals have the same cells; who sends another's moments has measured nothing.
  const auto measured = measured_.find(report.values);
  if (measured != measured_.end() && measured->second != site) Refuse(what + ": they are those of " + measured->second);
}

void FederationState::CheckNoMoments(const std::string& site, const JsonFields& body, const std::string& what) const {
  (void)BelowMinPictures::FromJson(body);
  if (plan().AlignsLatents()) Refuse(what + ": the alignment needs them; who has none is left out or waited for");
  if (site != participants_.front()) OutOfPlace(what + ": none are due from this site");
}

}  // namespace hemafed
