// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/derived_model.h"

#include <vector>

#include "codec/aligned_head.h"
#include "codec/prototype_head.h"
#include "codec/slow_model.h"

namespace hemafed {

Digest DeriveModel(FileSystem& files, const FederationState& state, const ObjectPlace& object, const Path& model,
                   const Path& out) {
  if (!state.plan().CollectsMeans()) return AlignHead(files, model, out, state.OldClasses());
  std::vector<SiteMeans> sites;
  for (const auto& [site, report] : state.means()) {
    sites.push_back({.values = object(report.values), .counts = report.classes});
  }
  return WritePrototypeHead(files, model, out, sites);
}

Digest SlowModelAfter(FileSystem& files, const FederationState& state, const Path& slow, const Path& model,
                      const Path& out) {
  return FollowSlowly(files, slow, model, out, state.plan().strategy.slow_rate);
}

}  // namespace hemafed
