// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/head_solve.h"

#include "codec/analytic_head.h"
#include "common/error.h"

namespace hemafed {

namespace {

std::uint32_t ClassesOf(const Plan& plan) { return static_cast<std::uint32_t>(plan.classes.size()); }

}  // namespace

FeatureSums ReadSumsObject(FileSystem& files, const Path& path, const Plan& plan) {
  return ReadCanonicalSums(*files.OpenForRead(path), plan.strategy.features, ClassesOf(plan));
}

SolvedHead SolveHead(FileSystem& files, const Plan& plan, const HeadSolveInput& input, const Path& totals_out,
                     const Path& head_out) {
  FeatureSums totals = ReadSumsObject(files, input.sums, plan);
  if (input.totals) totals.Add(ReadSumsObject(files, *input.totals, plan));
  const AnalyticHead head{
      .trunk = plan.model.weights, .seed = plan.seed, .weights = SolveRidge(totals, plan.strategy.ridge)};
  const Bytes bytes = head.ToBytes();
  WriteCanonicalSums(files, totals_out, totals);
  const auto file = files.Create(head_out);
  file->Append(bytes);
  file->Sync();
  file->Close();
  return {.totals = totals.Hash(), .head = Sha256Of(bytes)};
}

std::optional<std::string> WhySumsDoNotFit(const FeatureSums& sums, const SumsReport& report, const Plan& plan) {
  if (sums.Hash() != report.sums) return "the sums do not have the digest that the site signed";
  for (std::uint32_t label = 0; label < sums.classes(); ++label) {
    if (sums.Pictures(label) != static_cast<std::int64_t>(report.classes.at(label).value_or(0))) {
      return "the sums hold " + std::to_string(sums.Pictures(label)) + " pictures of " + plan.classes[label] +
             ", which is not what the site signed";
    }
  }
  if (!sums.MaySend(static_cast<std::int64_t>(plan.min_pictures))) {
    return "the sums hold fewer than min_pictures pictures of a class";
  }
  return std::nullopt;
}

}  // namespace hemafed
