// site_agent/trainer/trainer_folder.h
// SPDX-License-Identifier: Apache-2.0
//
// What lies where in the trainer's part of a lab's folder. Thread-safety: value type.
#pragma once

#include <string_view>

#include "common/file_system.h"

namespace hemafed::trainer {

// Files of latents in Pictures() have this in their names; they are made of pictures as tiles are.
inline constexpr std::string_view kLatentsSuffix = ".latents";
// Likewise files of cells (learning/features/extractor/cell_cache.h), and what goes with them.
inline constexpr std::string_view kCellsSuffix = ".cells";

// The trainer's own folder; the agent cannot read it.
struct TrainerFolder {
  Path root;

  [[nodiscard]] Path Vault() const { return root / "vault"; }
  [[nodiscard]] Path Pictures() const { return root / "pictures"; }
  [[nodiscard]] Path Residuals() const { return root / "residuals"; }
  [[nodiscard]] Path ExchangeKey() const { return Vault() / "exchange.key"; }
  // What the lab's people decided (protocol/federation/lab_agreement.h).
  [[nodiscard]] Path Agreement() const { return root / "agreement.json"; }
};

}  // namespace hemafed::trainer
