// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/update_rules.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "codec/retreat.h"

namespace hemafed {

namespace {

// A norm or a share as people read it.
std::string InWords(double norm) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", norm);
  return text;
}

}  // namespace

std::optional<std::string> WhyNotTaken(const FederationState& state, const std::string& site,
                                       const UpdateReport& report, const ReadableFile& raw, const UpdateLayout& layout,
                                       const TaskModels& models) {
  if (report.probe) {
    if (auto why = WhyImplausible(*report.probe, layout, state.OldClasses(), state.round() == 0)) return why;
  }
  const std::vector<UInt128> norms = SquaredNorms(raw, layout);
  const UInt128 whole = std::accumulate(norms.begin(), norms.end(), UInt128{0});
  // The active site learns something new; who rehearses starts from a model that knows its pictures, and moves little.
  const AggregationPlan& rules = state.plan().aggregation;
  const bool rehearses = state.Rehearses(site);
  const double bound = rehearses ? rules.rehearsal_norm_bound : rules.norm_bound;
  if (!WithinNormBound(whole, bound)) {
    const auto largest = std::max_element(norms.begin(), norms.end());
    return "the update's norm of " + InWords(NormOf(whole)) + " is over the plan's bound of " + InWords(bound) +
           (rehearses ? " for a site that rehearses" : "") + ", most of it in tensor " +
           layout.tensors[static_cast<std::size_t>(largest - norms.begin())].name + " (" + InWords(NormOf(*largest)) +
           ")";
  }
  if (rehearses && rules.max_retreat_millionths > 0) {
    const Retreat retreat = RetreatOf(raw, layout, models.now, models.first);
    if (retreat.Exceeds(rules.max_retreat_millionths)) {
      return "the update would take back " + InWords(retreat.Share()) +
             " of what the task has taught so far, more than the plan's " +
             InWords(static_cast<double>(rules.max_retreat_millionths) / 1e6) +
             ": as if another model than the round's base had been trained";
    }
  }
  if (whole > 0) {
    if (const auto earlier = state.TakenBefore(report.values)) {
      return "its integers are those of " + *earlier + ": stale, or another lab's";
    }
  }
  return std::nullopt;
}

}  // namespace hemafed
