// studies/federation/autoencoder_outputs.h
// SPDX-License-Identifier: Apache-2.0
//
// What a federated study shows of plans that train an autoencoder, whose models nobody scores: each hospital's loss and
// alignment term round by round, as the sites signed them. `losses.csv` has every update of every run; tables for
// people leave rounds out where there are many.
//
// Thread-safety: free functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/report/html_report.h"
#include "studies/federation/federation_outputs.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

// Mean over the seeds, with their standard deviation where there are several.
[[nodiscard]] Table LossTable(const ArmResults& arm);
[[nodiscard]] Figure LossFigure(const ArmResults& arm);

// plan, seed, round, site, loss, alignment
[[nodiscard]] std::string LossesCsv(const std::vector<ArmResults>& arms);
// One run: [{"round": n, "site": name, "loss": x, "alignment": x}, ..]
[[nodiscard]] nlohmann::json LossesJson(const FederationResult& result);

}  // namespace hemafed::studies
