// SPDX-License-Identifier: Apache-2.0
//
// FederationState: what a hospital says of its latents beside those of the hospitals before it (docs/drift_check.md).
// Whether the numbers are those of its pictures only the hospital knows; what they were measured with, everybody does.
#include <algorithm>

#include "codec/latent_moments.h"
#include "common/random.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/refusals.h"

namespace hemafed {

bool FederationState::DescribesLatents() const {
  if (!plan().drift) return false;
  return std::none_of(described_.begin(), described_.end(),
                      [&](const DescribedLatents& earlier) { return earlier.site == participants_.front(); });
}

Phase FederationState::AfterCommitments() const {
  if (!DescribesLatents()) return BeforeTraining();
  return described_.empty() ? Phase::kMeasuring : Phase::kComparing;
}

JobDrift FederationState::ExpectedDrift() const {
  const DriftPlan& settings = plan().drift.value();
  const std::string purpose = "drift check of task " + std::to_string(task_) + " at " + task_plan().site;
  JobDrift drift{.seed = DeriveSeed(plan().seed, purpose) & kMaxDriftSeed,
                 .permutations = settings.permutations,
                 .rows = settings.rows,
                 .members = {}};
  for (const DescribedLatents& earlier : described_) {
    if (!earlier.drift) continue;
    if (const auto* report = std::get_if<DriftReport>(&*earlier.drift)) {
      drift.members.push_back(report->mmd2_unbiased_millionths);
    }
  }
  return drift;
}

void FederationState::CheckDrift(const std::string& site, const DriftAnswer& answer, const std::string& what) const {
  if (site != participants_.front()) OutOfPlace(what + ": none is due from this site");
  const std::optional<std::uint64_t> pictures = PicturesOf(answer);
  if (!pictures) return;  // Only the hospital knows how many are left.
  // Fewer, if pictures are gone since.
  if (*pictures > CommittedBy(site, what).pictures) Refuse(what + ": of more pictures than it committed to");
  if (*pictures < plan().min_pictures) Refuse(what + ": of fewer pictures than the plan's min_pictures");
  if (const auto* report = std::get_if<DriftReport>(&answer)) {
    CheckDriftReport(*report, what);
    return;
  }
  const bool few = *pictures < kMinDriftRows;
  if (few != (std::get<DriftRefusal>(answer).reason == DriftRefusalReason::kTooFewPictures)) {
    Refuse(what + (few ? ": of so few pictures there is another reason to give" : ": it has pictures enough"));
  }
}

void FederationState::CheckDriftReport(const DriftReport& report, const std::string& what) const {
  const JobDrift expected = ExpectedDrift();
  if (report.reference != DriftReferenceKind::kMoments) Refuse(what + ": compared with something else than moments");
  if (report.pictures < kMinDriftRows) Refuse(what + ": so few pictures cannot be compared");
  std::uint64_t behind = 0;
  for (const DescribedLatents& earlier : described_) behind += earlier.moments.cells;
  if (report.reference_pictures != behind) Refuse(what + ": its reference is of other pictures than the log's moments");
  if (report.columns != plan().model.LatentWidth()) Refuse(what + ": of latents with another number of values");
  const std::uint64_t rows = std::min<std::uint64_t>(report.pictures, expected.rows);
  if (report.pictures_used != rows || report.reference_rows != rows) {
    Refuse(what + ": another number of rows was compared than plan and pictures give");
  }
  if (report.seed != expected.seed) Refuse(what + ": drawn with another seed than plan and task give");
  if (report.p_denominator != expected.permutations + std::uint64_t{1}) {
    Refuse(what + ": another number of permutations than the plan's");
  }
  if (report.members != expected.members.size() ||
      report.members_as_far != MembersAsFar(expected.members, report.mmd2_unbiased_millionths)) {
    Refuse(what + ": beside other members than those of the log");
  }
}

}  // namespace hemafed
